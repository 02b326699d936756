/*
 * Test data: keys as Vault 1.8 stored them, made for this purpose and protecting nothing, and what
 * that Vault answered with them.
 */
#ifndef ENGINES_TRANSIT_VAULTKEYS_H
#define ENGINES_TRANSIT_VAULTKEYS_H

struct vault_entry {
    const char *path, *text;
};

static const struct vault_entry vault_entries[] = {
    { "policy/aes256-gcm96",
      "{\"name\":\"aes256-gcm96\",\"keys\":{\"1\":{\"key\":\"m4bOfDPe/56IZjAdFhArhIp5VdojDnLxXg"
      "WZlu0C+qE=\",\"hmac_key\":\"Hw4I4qOLAQZjTJaYBBVWokIre/HWXUofaDM6khjK20M=\",\"time\":\"20"
      "26-11-22T01:56:44.202154186Z\",\"ec_x\":null,\"ec_y\":null,\"ec_d\":null,\"rsa_key\":nul"
      "l,\"public_key\":\"\",\"convergent_version\":0,\"creation_time\":1795312604},\"2\":{\"ke"
      "y\":\"ykKAmmLZxx+egVGx4A+w8TI73DoUszHNnQNXPQ+FTOg=\",\"hmac_key\":\"Fey5PShXd619GGR0XHHl"
      "oTVvUTOcKCkMYu7ukHs/VrQ=\",\"time\":\"2026-11-22T01:56:44.304196983Z\",\"ec_x\":null,\"e"
      "c_y\":null,\"ec_d\":null,\"rsa_key\":null,\"public_key\":\"\",\"convergent_version\":0,"
      "\"creation_time\":1795312604}},\"derived\":false,\"kdf\":0,\"convergent_encryption\":fal"
      "se,\"exportable\":false,\"min_decryption_version\":1,\"min_encryption_version\":0,\"late"
      "st_version\":2,\"archive_version\":2,\"archive_min_version\":0,\"min_available_version\""
      ":0,\"deletion_allowed\":false,\"convergent_version\":0,\"type\":0,\"backup_info\":null,"
      "\"restore_info\":null,\"allow_plaintext_backup\":false,\"version_template\":\"\",\"stora"
      "ge_prefix\":\"\"}" },
    { "archive/aes256-gcm96",
      "{\"keys\":[{\"key\":null,\"hmac_key\":null,\"time\":\"0001-01-01T00:00:00Z\",\"ec_x\":nu"
      "ll,\"ec_y\":null,\"ec_d\":null,\"rsa_key\":null,\"public_key\":\"\",\"convergent_version"
      "\":0,\"creation_time\":0},{\"key\":\"m4bOfDPe/56IZjAdFhArhIp5VdojDnLxXgWZlu0C+qE=\",\"hm"
      "ac_key\":\"Hw4I4qOLAQZjTJaYBBVWokIre/HWXUofaDM6khjK20M=\",\"time\":\"2026-11-22T01:56:44"
      ".202154186Z\",\"ec_x\":null,\"ec_y\":null,\"ec_d\":null,\"rsa_key\":null,\"public_key\":"
      "\"\",\"convergent_version\":0,\"creation_time\":1795312604},{\"key\":\"ykKAmmLZxx+egVGx4"
      "A+w8TI73DoUszHNnQNXPQ+FTOg=\",\"hmac_key\":\"Fey5PShXd619GGR0XHHloTVvUTOcKCkMYu7ukHs/VrQ"
      "=\",\"time\":\"2026-11-22T01:56:44.304196983Z\",\"ec_x\":null,\"ec_y\":null,\"ec_d\":nul"
      "l,\"rsa_key\":null,\"public_key\":\"\",\"convergent_version\":0,\"creation_time\":179531"
      "2604}]}" },
    { "policy/chacha20-poly1305",
      "{\"name\":\"chacha20-poly1305\",\"keys\":{\"1\":{\"key\":\"YGR7qPq1VI+tqB28KqL9IHNjpHool"
      "dy3BdRtmpqcJEQ=\",\"hmac_key\":\"gafvlQlfDHGvF2GgHODzobKer1hwGlwQ8Jtq5+R5VwI=\",\"time\""
      ":\"2026-11-22T01:56:44.606019027Z\",\"ec_x\":null,\"ec_y\":null,\"ec_d\":null,\"rsa_key"
      "\":null,\"public_key\":\"\",\"convergent_version\":0,\"creation_time\":1795312604},\"2\""
      ":{\"key\":\"6en9sTAg1oFNyIxU+cuXQAYa6Y1hGbPR+Aj4PHW4VVc=\",\"hmac_key\":\"e7QZh/vjtGAc8L"
      "bgvZYioV3YvNBlYnjkJj22JoPsazI=\",\"time\":\"2026-11-22T01:56:44.693151114Z\",\"ec_x\":nu"
      "ll,\"ec_y\":null,\"ec_d\":null,\"rsa_key\":null,\"public_key\":\"\",\"convergent_version"
      "\":0,\"creation_time\":1795312604}},\"derived\":false,\"kdf\":0,\"convergent_encryption"
      "\":false,\"exportable\":false,\"min_decryption_version\":1,\"min_encryption_version\":0,"
      "\"latest_version\":2,\"archive_version\":2,\"archive_min_version\":0,\"min_available_ver"
      "sion\":0,\"deletion_allowed\":false,\"convergent_version\":0,\"type\":5,\"backup_info\":"
      "null,\"restore_info\":null,\"allow_plaintext_backup\":false,\"version_template\":\"\",\""
      "storage_prefix\":\"\"}" },
    { "policy/conv",
      "{\"name\":\"conv\",\"keys\":{\"1\":{\"key\":\"IEGjuSJuZxNRa9EAntnOliVyRJBfKePHk6yflqKyAL"
      "E=\",\"hmac_key\":\"yJbNGMVmMMpUZaSC6p8wS0zkxpUUiHZ6wBkDKWjN5oE=\",\"time\":\"2026-11-22"
      "T01:56:45.512801776Z\",\"ec_x\":null,\"ec_y\":null,\"ec_d\":null,\"rsa_key\":null,\"publ"
      "ic_key\":\"\",\"convergent_version\":3,\"creation_time\":1795312605}},\"derived\":true,"
      "\"kdf\":1,\"convergent_encryption\":true,\"exportable\":false,\"min_decryption_version\""
      ":1,\"min_encryption_version\":0,\"latest_version\":1,\"archive_version\":1,\"archive_min"
      "_version\":0,\"min_available_version\":0,\"deletion_allowed\":false,\"convergent_version"
      "\":-1,\"type\":0,\"backup_info\":null,\"restore_info\":null,\"allow_plaintext_backup\":f"
      "alse,\"version_template\":\"\",\"storage_prefix\":\"\"}" },
    { "policy/ecdsa-p256",
      "{\"name\":\"ecdsa-p256\",\"keys\":{\"1\":{\"key\":null,\"hmac_key\":\"yR/7oQRQDKGYxcBkKT"
      "u9LRFvBCx82feKpA1vvR+R35s=\",\"time\":\"2026-11-22T01:56:45.769318421Z\",\"ec_x\":476562"
      "82137658119559499187293883421011009883633366492029890538701239761538627,\"ec_y\":9771040"
      "1709103897761132477354570040784445694625465118204474662954315046801741,\"ec_d\":10154510"
      "7752756179683902861483598891737351653624733591574443641840143466336316,\"rsa_key\":null,"
      "\"public_key\":\"-----BEGIN PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaVx/9D"
      "0s3rfB2+Xcpd9XzNLeP5Qw\\nVyWiSYZUdenUjkPYBiCmDjM4ycLHk7QaJ9gvQrmwcc3PpoeEx1y9F1VRTQ==\\n"
      "-----END PUBLIC KEY-----\\n\",\"convergent_version\":0,\"creation_time\":1795312605}},\""
      "derived\":false,\"kdf\":0,\"convergent_encryption\":false,\"exportable\":false,\"min_dec"
      "ryption_version\":1,\"min_encryption_version\":0,\"latest_version\":1,\"archive_version"
      "\":1,\"archive_min_version\":0,\"min_available_version\":0,\"deletion_allowed\":false,\""
      "convergent_version\":0,\"type\":1,\"backup_info\":null,\"restore_info\":null,\"allow_pla"
      "intext_backup\":false,\"version_template\":\"\",\"storage_prefix\":\"\"}" },
    { "policy/ed25519",
      "{\"name\":\"ed25519\",\"keys\":{\"1\":{\"key\":\"CnC62237XmpOWZfeuzE6vEFnLO3weJBMlbaMIS5"
      "V54lP7wIXO150aosAfjqthDMPD2VkwC9yFV63is1TuTTkgg==\",\"hmac_key\":\"vtw0nGH664rtwSuZsGh/N"
      "5BWfDUVp0hc6u1lsuTmqVk=\",\"time\":\"2026-11-22T01:56:45.629733087Z\",\"ec_x\":null,\"ec"
      "_y\":null,\"ec_d\":null,\"rsa_key\":null,\"public_key\":\"T+8CFztedGqLAH46rYQzDw9lZMAvch"
      "Vet4rNU7k05II=\",\"convergent_version\":0,\"creation_time\":1795312605}},\"derived\":fal"
      "se,\"kdf\":0,\"convergent_encryption\":false,\"exportable\":false,\"min_decryption_versi"
      "on\":1,\"min_encryption_version\":0,\"latest_version\":1,\"archive_version\":1,\"archive"
      "_min_version\":0,\"min_available_version\":0,\"deletion_allowed\":false,\"convergent_ver"
      "sion\":0,\"type\":2,\"backup_info\":null,\"restore_info\":null,\"allow_plaintext_backup"
      "\":false,\"version_template\":\"\",\"storage_prefix\":\"\"}" },
    { "policy/rsa-2048",
      "{\"name\":\"rsa-2048\",\"keys\":{\"1\":{\"key\":null,\"hmac_key\":\"vMipslqrSeYZFRveMIuf"
      "9D0UZTPMtdM4BgPTPn3RIVE=\",\"time\":\"2026-11-22T01:56:44.915080852Z\",\"ec_x\":null,\"e"
      "c_y\":null,\"ec_d\":null,\"rsa_key\":{\"N\":25137537494402220900389506841413650374473955"
      "1640849198031544355427579070695358474953623393863412176685242859677070205673665754153455"
      "7474375424470743002976682285421020174874231878182678343831618270857787676499359831407232"
      "4681725932868870782674163324112390418469631679654752068407009804629285737176937923915108"
      "1251865976634095751318434380445413706835390357312497584339582886230143158606136855584461"
      "7320609987476295554101944781782010907430667872672224054799172738601790919385143447841367"
      "2113650738414610782066165275610504558627886419531902817972668628429532750156526764470528"
      "831234511569954478742432126737779081354783569,\"E\":65537,\"D\":193162089845140278704184"
      "7451872364363426016421354832478274650005238702107239918336003246122794976458774254301133"
      "2919660231330972073838352311881280287109557306543449131941752951368735169659178829687107"
      "7692583590584112285010142624468510357907055688390115504443921853515939593537234999124331"
      "4203769215243066305795471279576163032106816414603396575911360827976941907275206887897338"
      "6167629895583572772604597148801744423861863881776760663175291881001187366081339955429187"
      "0241734332215412209182486849467945159668391160921028835759227099857296733093706725801324"
      "01004172688428309585245433080195698734023604710099218291253540353,\"Primes\":[1480610101"
      "1213493826573488248277692829981863090942922526251974908241446818158202365220466745281832"
      "4436404094256877920820389427980831134153222619663122551257832621192044604812487924872498"
      "2303940892311658293986839340243699753646333696329529729180592105068926437973988149807718"
      "58153809953457038448708798697629977,1697782385475024694347290154778086450241384780694691"
      "0801352872775984509652810896808954575143470845620573519110384829248098290051361555970927"
      "9825215486110323420431787804485455923679166140143069097149233931355849994832931767146506"
      "944840395383785159707035148784570562736072092039332282535897608428616169196405497],\"Pre"
      "computed\":{\"Dp\":134668488819662961915897746462545583701174737474711486468308584815503"
      "3650279372392371373120862268260880054267750772232812395045929682938758174334421635436154"
      "8659103463061855543574948082376391292346278535673934038212397073197598960175855919194764"
      "1660117267552743017623055508028940758007165732409006863017334105,\"Dq\":1390981085580602"
      "9561664921734387380237005190108583051231637718400807364714558620218502631456330371923509"
      "9948901079240985609592446680102278561285001149140297934550931754185300980606819761796267"
      "0262955424677696722404528653784147053404376182879436099502501682841560003593489923243344"
      "61120931476676779782242577425,\"Qinv\":1394799565635992660852274534327853505559577669236"
      "7001344311996482744253279026902603178304339504423480234063563936635215805022722778944673"
      "9969585318773205175095258218902198348844389269698558945393015033678855552158202036177523"
      "737673003303920986498637915269297700745529281626055386910709633709145460609467535,\"CRTV"
      "alues\":[]}},\"public_key\":\"\",\"convergent_version\":0,\"creation_time\":1795312604},"
      "\"2\":{\"key\":null,\"hmac_key\":\"42aDzr02/xxbzMqYsudJP9H4PBaqwilETqHPEYBJfx8=\",\"time"
      "\":\"2026-11-22T01:56:45.151481695Z\",\"ec_x\":null,\"ec_y\":null,\"ec_d\":null,\"rsa_ke"
      "y\":{\"N\":27529178769746011506617472826775694412186865619866982330685820573970356730662"
      "3666263120857891951683152239844512608375481915444678761407354315836413332773477382582346"
      "5661597570525919510293916161241572241412599393143331102434370880896807330680595804487508"
      "8454837330411901213817985021954711841907182703553209241479048114739369759885836865974114"
      "9644206447336494998500244236425145271683538363612095528792307982025777454199510408046760"
      "4660086002035112144905664276568027510772477952763889802858727578968959052893202804029885"
      "6438188517790407642911895755734091966455489005767416315960290599983284341884648442955078"
      "162609883253,\"E\":65537,\"D\":221667499711348821767201833855956203339413321578039965908"
      "2077967421440857887580678452042478571826948384401000164007596099327087163421918533744450"
      "2140750704449328246655542390618158185220214573408132659223276055140694069854672045677373"
      "9139184499933165403252033236303640148153621448585313959840896583372630179114783478559933"
      "3220706597262745034241060608048336139112439135704565856402872366435365750260052311743035"
      "3419445000253903748987427244401185995554823667936009321008741621921255848735434836360921"
      "2724228723298078970584399940371717934797742404081222643517322897238830080702570342260980"
      "68891208552335106168422467900933,\"Primes\":[1576443587431472633593661931507512901154963"
      "5507385939313670843010126749726900050242189814634127431260760671063398015378142070793124"
      "1564652657025088430148382723519121255627738076057302142755254738386562795215336493306702"
      "8868843628661778530578773143212334172300876283598362881457817134168137392801347260099452"
      "11,1746283786443623298727660228221681206129557606973457473079011724798623363657137889831"
      "8356633055121495787723678514652969174194115003060040844304292941801577802310013296732971"
      "4488654116252045146069339047352298666161897046486630871640260480472564184652512365287424"
      "385987158143946252871534388409576803171998569423],\"Precomputed\":{\"Dp\":14199225623095"
      "3247113895759367820447312476156064664540288079994947553601229673309092034233769098717872"
      "7592677224140329541673312660205618421097119332595580974437239075288723221787640957853860"
      "0618287316785634925787265048249710520682958448915889494277099056440014148804615920913751"
      "765480559859361439115120263463,\"Dq\":14451865926933304370522316828365552829218428663109"
      "2990169501745453565063055483448633305264004609705138629899011489575825732146148804639735"
      "6108048791193512329316093490966791541376799869258918257985983781870794018130645301172680"
      "86503086923102834485603526453089003714280261474483313502195868351774067681457595095,\"Qi"
      "nv\":15353148728513439546954893321774750899022888891106064698355189517763828180372155497"
      "6477166987605689958375574599700441066393096037267701990952799757205625685749874362539067"
      "6181151730607602171051659359588434826935949974069402751560476238336982190456004681585703"
      "28383682049214530293437366559083534637118045421713,\"CRTValues\":[]}},\"public_key\":\""
      "\",\"convergent_version\":0,\"creation_time\":1795312605}},\"derived\":false,\"kdf\":0,"
      "\"convergent_encryption\":false,\"exportable\":false,\"min_decryption_version\":1,\"min_"
      "encryption_version\":0,\"latest_version\":2,\"archive_version\":2,\"archive_min_version"
      "\":0,\"min_available_version\":0,\"deletion_allowed\":false,\"convergent_version\":0,\"t"
      "ype\":3,\"backup_info\":null,\"restore_info\":null,\"allow_plaintext_backup\":false,\"ve"
      "rsion_template\":\"\",\"storage_prefix\":\"\"}" },
};

struct vault_answer {
    const char *path, *body; /* a write */
    const char *member, *value;
};

static const struct vault_answer vault_answers[] = {
    { "decrypt/aes256-gcm96",
      "{\"ciphertext\":\"vault:v1:DWJu7rTDmQiNU2d4fnc4dmTcT+3El9CIASETtGesbu/FrvM5mME36os=\"}",
      "plaintext",
      "cGxhaW4tdmlzaWJsZQ==" },
    { "decrypt/aes256-gcm96",
      "{\"ciphertext\":\"vault:v2:0ZWWTT1F2ptl7j76sM6vR38TpvhqjadwqRNEgBEIA3yfKv/Ovu94KKU=\"}",
      "plaintext",
      "cGxhaW4tdmlzaWJsZQ==" },
    { "decrypt/chacha20-poly1305",
      "{\"ciphertext\":\"vault:v1:IoPs3LJfil6SfxICqpemBxTjJh3eLGzOyCMW9yQ7V9MjHvejVF4uTsk=\"}",
      "plaintext",
      "cGxhaW4tdmlzaWJsZQ==" },
    { "decrypt/chacha20-poly1305",
      "{\"ciphertext\":\"vault:v2:rhVfPltGA4rzB/ZaoXdKpG7Tyb9ywqGRKXspOweVpsb7CseFyKC4AMo=\"}",
      "plaintext",
      "cGxhaW4tdmlzaWJsZQ==" },
    { "decrypt/rsa-2048",
      "{\"ciphertext\":\"vault:v1:p9jXbxu/+3rMxJUHrbr3Yj+zExwnxqcp0Qf78noXzinINAnlFkWmmE8fvlBin"
      "Arb9xSDhEWvKyl5S6jw6lMWtBgLoG+N9B+ZkHV1JGqt1mchep2d+sf3qwo0MpTnpP3iUYumEMmj/TIN2bTAKKQLc"
      "PbGNV8DKQmk8UkOJaf/kvHcu6g1dDlRYUboqR9vP5FlM+nSdEJXBrG/qSi/qrRWOKGguNoTMRpKQYvFVE9ffL6gK"
      "O0Nkt5U4c+AKUtEeYTC9drn6WkxRbIAl5dIZKr6Bw3kC9rBwLlvbv/18JEBLjrPtqAmrQJ+S03u0deFeIjWChmcz"
      "Ge7PVo7oZnTmhmRog==\"}",
      "plaintext",
      "cGxhaW4tdmlzaWJsZQ==" },
    { "decrypt/rsa-2048",
      "{\"ciphertext\":\"vault:v2:EA0bslR3sr1BE1GdjduHS9+aJOaP2qayXKg4XfArIrnNwT6gosCGKYUjWj2xA"
      "zwcVDcf0tN5Z6m8CFW3McZpyQ7UssbKsLTCsjBFgYU0pnvfY45ViCV4Y1/i6AhIhpSv2CV/k6TjTCNdVq9azxz9h"
      "ieh2Rtl/gqaCBRMPv8SvvA8EuW/+o1KK76Wkegj9bfby2B0yugCO/IC/DlDxub35EASPqLovTP8clvGDIKu7g7Jr"
      "u8nvvjeyAhsBf/ABK/xkEbdx/XLGeRibbLGI6tAMFoXU2qH9bQDYU9ukSZPDeVwLSM4sggx61E9B6a/PXHRcvR9v"
      "V2RI9oa9P9DZbagXw==\"}",
      "plaintext",
      "cGxhaW4tdmlzaWJsZQ==" },
    { "encrypt/conv",
      "{\"plaintext\":\"cGxhaW4tdmlzaWJsZQ==\",\"context\":\"Y29udGV4dC12aXNpYmxl\"}",
      "ciphertext",
      "vault:v1:bPBWbInh4pEoem/NiyZ24sFAx60cpS6YaAzV+u6kyPXgUsUr4PEukmI=" },
    { "verify/ed25519",
      "{\"input\":\"cGxhaW4tdmlzaWJsZQ==\",\"signature\":\"vault:v1:6cgqVisy5oNYqW9EAENli+ZZwzf"
      "oVj4QxqMpOfy1JCQtnXcKoyNjRswX7sLe8E9SDQgH7anPWuOhZqvLVL5EBg==\"}",
      "valid",
      "true" },
    { "verify/ecdsa-p256",
      "{\"input\":\"cGxhaW4tdmlzaWJsZQ==\",\"signature\":\"vault:v1:MEQCIB8Gn4zOHm2gtwXfhSShRTQ"
      "Q1PLzfj3TG5EiRzFtE1HeAiAdSTMCPuQPMCWztsj9aDdiTm8IhHTz7z45VtcvUKM2tQ==\"}",
      "valid",
      "true" },
    { "hmac/aes256-gcm96",
      "{\"input\":\"cGxhaW4tdmlzaWJsZQ==\"}",
      "hmac",
      "vault:v2:LDNKxB0KYrYGWDFjvTqoHnQQV6dCxPpgkWqF5wB8yFY=" },
};

#endif
