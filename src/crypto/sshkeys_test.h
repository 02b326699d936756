/* Keys made by ssh-keygen and openssl for the unit tests alone; they open nothing. */
#ifndef CRYPTO_SSHKEYS_TEST_H
#define CRYPTO_SSHKEYS_TEST_H

static const char private_rsa[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAABFwAAAAdzc2gtcn\n"
    "NhAAAAAwEAAQAAAQEAkEfsRWJaapQaYDBZtx76J0YhQ26Wop67qKdTN+psTkZ8uwWmt8/I\n"
    "gSS2YqjiARZvbL4Jl3DtSUkeBzrNJO8AxdSAvSyo8DOKFvFKDOdBmtqgXQQlHWgL4z7y18\n"
    "Ads5hnBV/g/bnH76nHMKOHx3hwDFeq9QF+AnixgZZplXpuF7D8lHimHt1INRhIPViRbwXY\n"
    "zhzCo6Kl6cLMuuf0rPMzc1r0P3madynUEExje946eiPorN2PtoEWOSxyuwcGVzu4yhKpSD\n"
    "1CCPm8CmOkU0G7opo3B+vblqtpfpFNSLQJSMA+wj6PUbdz51HeamMceUKXExeSJvx6s6T+\n"
    "CaL2+BfqYwAAA7jRxudd0cbnXQAAAAdzc2gtcnNhAAABAQCQR+xFYlpqlBpgMFm3HvonRi\n"
    "FDbpainruop1M36mxORny7Baa3z8iBJLZiqOIBFm9svgmXcO1JSR4HOs0k7wDF1IC9LKjw\n"
    "M4oW8UoM50Ga2qBdBCUdaAvjPvLXwB2zmGcFX+D9ucfvqccwo4fHeHAMV6r1AX4CeLGBlm\n"
    "mVem4XsPyUeKYe3Ug1GEg9WJFvBdjOHMKjoqXpwsy65/Ss8zNzWvQ/eZp3KdQQTGN73jp6\n"
    "I+is3Y+2gRY5LHK7BwZXO7jKEqlIPUII+bwKY6RTQbuimjcH69uWq2l+kU1ItAlIwD7CPo\n"
    "9Rt3PnUd5qYxx5QpcTF5Im/HqzpP4Jovb4F+pjAAAAAwEAAQAAAQAJTRGpVrykbUAWs6yS\n"
    "QQV4UwLhnCH1gXfF2Lo6exAYqwjvF4oBWdGU/bRiP30zpmoaylTHoKiIq8ArUCTvEhdB1D\n"
    "/+XKrWspk0KcGP0Q1UzxjnwNTRr1DriTXSJxjjEy/k/qLRndCKndkbmhcuipA9Q3OKZYUQ\n"
    "N2PzX3/BT/SumInz4ai94FsEqwmehJmUJeAyZlAEh3FLVaRUG/vp8XR56umhLNoStC9LXo\n"
    "K9w+UoTm1Ypz6GZwE6hT6NIvZHWaMmFcnTSFrtRI5zVwfDgKjT2bp9ndcjB/eKKyKdTti8\n"
    "NW/of2vo1dhBA68L3/9HOoVmip2rg/j5tgV205pQS87NAAAAgBtK4GEBe3qrKklAF9KiE4\n"
    "kecm0Mw0a3VO7+GZq2E0n3JPb6U9aBkG6GkcOpIOEo7s9Ki3IFQa71D3E8yHSVHcjkP65O\n"
    "QTwUr8IHeibRI/PcYGsyXY7AVE+o1oyJt702cDh/CFDGTzsXp38E5U1LXizdDZvyxRXLSw\n"
    "dQYil0JyUjAAAAgQDJkhYuc66BYJGKoB3bGo01EXtAi3RbbpqUY7T1SVayVFy8KLlsM8oc\n"
    "4tcgHUHYnEv8xM0y5a7PXevDWyByValWRYNj9RHZLZrrML9e0VTfDRnv2y9bezUJtgUFs3\n"
    "nooX1lNYfPQMNilv4m6+ZeLa4zit0xC79eXpUIM5NGdpADDQAAAIEAtz2WoasYld5jwq42\n"
    "dGYOcAiLbTgi80ohV8YT3GaB8ueBc/XrgCSED9+828b/A5R9ORvOSLMeTeoE4mmDn31w/M\n"
    "l6qgSUAzuvi1MfuckeLOQJqiJijaXSn9fl4ZOAouMOnFArpFQv9aF8ix2N5GzwUoqziNaL\n"
    "8bQLNpcXALVaBy8AAAACbWUB\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
static const char public_rsa[] =
    "AAAAB3NzaC1yc2EAAAADAQABAAABAQCQR+xFYlpqlBpgMFm3HvonRiFDbpainruop1M36mxORny7Baa3"
    "z8iBJLZiqOIBFm9svgmXcO1JSR4HOs0k7wDF1IC9LKjwM4oW8UoM50Ga2qBdBCUdaAvjPvLXwB2zmGcF"
    "X+D9ucfvqccwo4fHeHAMV6r1AX4CeLGBlmmVem4XsPyUeKYe3Ug1GEg9WJFvBdjOHMKjoqXpwsy65/Ss"
    "8zNzWvQ/eZp3KdQQTGN73jp6I+is3Y+2gRY5LHK7BwZXO7jKEqlIPUII+bwKY6RTQbuimjcH69uWq2l+"
    "kU1ItAlIwD7CPo9Rt3PnUd5qYxx5QpcTF5Im/HqzpP4Jovb4F+pj";

static const char private_rsa_pem[] =
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIIEpQIBAAKCAQEAxQZFwHJKLta15Ol8/zmHdbgA6ZENldq8R5BmWjv9RSZpEEy5\n"
    "rhiinxaiWHjOmtRjSSZse7h47PQGoXED2CYBw+JzssM5aLTr9mIboRFfxbL0RKTD\n"
    "FC3QrK1/qKZ79W+vKl626xp/tBK4yFAG3Z8QcV4PEB1xlIQIWv2VtyMaqwCRy6dY\n"
    "aMHqLZdBsQZSSkh9Rbrbu1758ISyeNsOs+PmmP/goCLXLaIrcO1Pi4twe+UhYkIS\n"
    "Gtiz6aKeZq5N/Vshrvhun6vDAahrkna8MT6jHmoexJo1BRJ5p74658/IwyC0XNTl\n"
    "TxpmDwwlOGxkS20Mqhy2f0fSwZHgyBAJG+vzrwIDAQABAoIBAASSMy8WV7tDdv/j\n"
    "HOfM/WQRS1Af8ek+pGyioIVKbANdM0XSCeLMpoU7YLPdxalY8R7C2fR64K9asAax\n"
    "2Q18QEE7sUR9/Ah+XhUezJZNkWPEVZ98FRyUPYmsEtCmYCzfFPjOLr9Ao6LZZlkb\n"
    "ZjVhGeAPdxkAHeD8uTbnOECB+33pIIAKqqHlzQAW89zxwUmM1EDh2btG0huQbxej\n"
    "Ftg2ENM2GzaTj8LElBB1Fa7H6fdd0HrkzCghx7qatk5j0y6Er2pIyRzPi/IYvlu2\n"
    "mBXca5oLqb94rdbMwLDIKBLQbelMjtX6nuHJh83f9lUKk16cskDvxdXttDL2oNjw\n"
    "i/daCk0CgYEA99Yr9caciE0Z6nPDSEI+WL6ubeRkIJTXT8u+8MU2KSMLx+4LGTfg\n"
    "pLsjLVI/CI1TP8Vi7PfSPiZbyd9UgivFLxCGIkVLB21qgpWbJsXV7mr0yF1QqjRA\n"
    "a6EZNjfFJ74B0sOJQGKNoG74OgGOKaU7PxWRHQ2chayuqQE9DmyI2BsCgYEAy4Oj\n"
    "gt1WemR/CEsMSAXUzcicBpw2IhyIfK0/ZILbBjt1PuJIguRw/dKjo3eT1eljL4fy\n"
    "lTIwUoJ3QBjhfKEI3lYD87E6TVwPXVXuY+14dE6QDujbYPr7Da7zq1/mI806eHK/\n"
    "QCw09DHA4TIrWwcpfdY0FmvwJCP8QIUt6ZzzM/0CgYEA7CHpXJDRj6Q2bwXBKFXF\n"
    "ZXS4aQfUxp5Jz0OHN4wPIH69uM37URnGNe3/hCz61cEhcn801CcC8ChICD17HVNq\n"
    "2n7Z7kkrRXZgpu64Fucj/7d0ZntSYfjK8EFb7iaQ+F63CgM4AFpmKlfQtiPJObCu\n"
    "lFqOGqpfWZXADFKbw+RxNcUCgYEAkzImDJvcVW/kdXIaculMzn4fY6SOfsOWcF66\n"
    "MA95LRvKJG50Nb/Wfa9hTfVKBvjkFVfFu+VuD+9vIvwb8xFiIbWi7Bouag+AyWhC\n"
    "oSH78lt0VGRVb+J3vKDievxEr3ZbqQyNiXOv5UMrF3Y6537ZortQNztgmDMy2tO4\n"
    "rnQnb10CgYEA1VtpwQls1s6G2nfA6s+2+j7xM8T5Yh9i39U/yR+y7sjo0OVxhXRe\n"
    "JEolC6uSeTn5XGvfMIHJqhqoLXQo0ztrZvd/lzkl2KlpFa+LJnI5gevaS2qCX9Mi\n"
    "MuxB4DwzSpc7oVK48szVn8vBp5fw/c6Kn73K5tI2rskulJx76/xDQW4=\n"
    "-----END RSA PRIVATE KEY-----\n";
static const char public_rsa_pem[] =
    "AAAAB3NzaC1yc2EAAAADAQABAAABAQDFBkXAckou1rXk6Xz/OYd1uADpkQ2V2rxHkGZaO/1FJmkQTLmu"
    "GKKfFqJYeM6a1GNJJmx7uHjs9AahcQPYJgHD4nOywzlotOv2YhuhEV/FsvREpMMULdCsrX+opnv1b68q"
    "XrbrGn+0ErjIUAbdnxBxXg8QHXGUhAha/ZW3IxqrAJHLp1howeotl0GxBlJKSH1Futu7XvnwhLJ42w6z"
    "4+aY/+CgItctoitw7U+Li3B75SFiQhIa2LPpop5mrk39WyGu+G6fq8MBqGuSdrwxPqMeah7EmjUFEnmn"
    "vjrnz8jDILRc1OVPGmYPDCU4bGRLbQyqHLZ/R9LBkeDIEAkb6/Ov";

static const char private_p256[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS\n"
    "1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQT2Hb3Jp1yZejQQw41X4z1KZiyWxC/t\n"
    "drWAlF0LjWkIiqY3TnQuK6cWX3lhamL69ec40E02KBhV4NwYKOahiN0uAAAAoExH3m9MR9\n"
    "5vAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPYdvcmnXJl6NBDD\n"
    "jVfjPUpmLJbEL+12tYCUXQuNaQiKpjdOdC4rpxZfeWFqYvr15zjQTTYoGFXg3Bgo5qGI3S\n"
    "4AAAAgBCyl1WBHxdsFdMBbF37kRdh58ybiBgf3PKqs3EK2Ol0AAAACbWUBAgMEBQY=\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
static const char public_p256[] =
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPYdvcmnXJl6NBDDjVfjPUpmLJbE"
    "L+12tYCUXQuNaQiKpjdOdC4rpxZfeWFqYvr15zjQTTYoGFXg3Bgo5qGI3S4=";

static const char private_p384[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAiAAAABNlY2RzYS\n"
    "1zaGEyLW5pc3RwMzg0AAAACG5pc3RwMzg0AAAAYQQAERGgIa4IdjhcyHM6146fPxkg9jXW\n"
    "O28dvRNm2HBtpUGN8GVXNy3uFtycPtlSgoaEPE4wH3YFxGdH4PFVID8BGs0IN+vKuD4CO8\n"
    "bVSBBpLRlCDlye6ch1Xg6qFMbPX9oAAADQOSP9Nzkj/TcAAAATZWNkc2Etc2hhMi1uaXN0\n"
    "cDM4NAAAAAhuaXN0cDM4NAAAAGEEABERoCGuCHY4XMhzOteOnz8ZIPY11jtvHb0TZthwba\n"
    "VBjfBlVzct7hbcnD7ZUoKGhDxOMB92BcRnR+DxVSA/ARrNCDfryrg+AjvG1UgQaS0ZQg5c\n"
    "nunIdV4OqhTGz1/aAAAAMFwUaPnKhSOBNdY8yVV6eMEcyIplXpgucw/5mGZjnNr7bpYqcN\n"
    "B2qRtLc2oU6UELoAAAAAJtZQECAwQFBg==\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
static const char public_p384[] =
    "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBAAREaAhrgh2OFzIczrXjp8/GSD2"
    "NdY7bx29E2bYcG2lQY3wZVc3Le4W3Jw+2VKChoQ8TjAfdgXEZ0fg8VUgPwEazQg368q4PgI7xtVIEGkt"
    "GUIOXJ7pyHVeDqoUxs9f2g==";

static const char private_p521[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAArAAAABNlY2RzYS\n"
    "1zaGEyLW5pc3RwNTIxAAAACG5pc3RwNTIxAAAAhQQBeisL8uukLEDIOdrgKHMSfqkRj/ow\n"
    "odQC7U+yupnXUTG45bArj1uuoXqpuS9HnuOCbfk+eC4mnZJ822igZeDvGx0B34Ahb2wl7g\n"
    "LnEBhKq7/VBba0OsGXLGPB3fwoOWAWZhhMXOSOkbuP9VrgG9pV0dTiZmnqgu2PFaNOXIdV\n"
    "SyXETHkAAAEAiqtegoqrXoIAAAATZWNkc2Etc2hhMi1uaXN0cDUyMQAAAAhuaXN0cDUyMQ\n"
    "AAAIUEAXorC/LrpCxAyDna4ChzEn6pEY/6MKHUAu1PsrqZ11ExuOWwK49brqF6qbkvR57j\n"
    "gm35PnguJp2SfNtooGXg7xsdAd+AIW9sJe4C5xAYSqu/1QW2tDrBlyxjwd38KDlgFmYYTF\n"
    "zkjpG7j/Va4BvaVdHU4mZp6oLtjxWjTlyHVUslxEx5AAAAQgEsSFb5tN4xgmTgI2S4w/cl\n"
    "Xb1ubmcNsPv0QSYiu8fF2rpePOSn3H9v193QsS3H40dCgmLgtJaxsFUkyBdnaARTSgAAAA\n"
    "JtZQ==\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
static const char public_p521[] =
    "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAF6Kwvy66QsQMg52uAocxJ+qRGP"
    "+jCh1ALtT7K6mddRMbjlsCuPW66heqm5L0ee44Jt+T54LiadknzbaKBl4O8bHQHfgCFvbCXuAucQGEqr"
    "v9UFtrQ6wZcsY8Hd/Cg5YBZmGExc5I6Ru4/1WuAb2lXR1OJmaeqC7Y8Vo05ch1VLJcRMeQ==";

static const char private_p384_pkcs8[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDD3w2I3o0GZqqwz6W3r\n"
    "FxT+VLuaJj4C3HuUcNL+chfVWy766W9wsQAUNs9H68leQiShZANiAATq53XTCT3M\n"
    "Lap/wR8+aSwEzkR9YXy1GrDJaPWqpn6jFvXWM81SNqksdftBBnKtm3D0DMvP8KIS\n"
    "yNCkwR+/8ZAq3zi+cpVvZTOm1K7EQ00qpWWhWBhVB+PdvVCTomYFwWE=\n"
    "-----END PRIVATE KEY-----\n";
static const char public_p384_pkcs8[] =
    "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBOrnddMJPcwtqn/BHz5pLATORH1h"
    "fLUasMlo9aqmfqMW9dYzzVI2qSx1+0EGcq2bcPQMy8/wohLI0KTBH7/xkCrfOL5ylW9lM6bUrsRDTSql"
    "ZaFYGFUH4929UJOiZgXBYQ==";

static const char private_ed25519[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "QyNTUxOQAAACBiNYxOYGB1QsK1+UvH6cmEK9l4V+b1MshVOR5cXvhT2wAAAIgJydGdCcnR\n"
    "nQAAAAtzc2gtZWQyNTUxOQAAACBiNYxOYGB1QsK1+UvH6cmEK9l4V+b1MshVOR5cXvhT2w\n"
    "AAAEAkMAGgzOpHVbV3ofRSE8/VKVvHngVGHHcBX1bUNSOuD2I1jE5gYHVCwrX5S8fpyYQr\n"
    "2XhX5vUyyFU5Hlxe+FPbAAAAAm1lAQID\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
static const char public_ed25519[] =
    "AAAAC3NzaC1lZDI1NTE5AAAAIGI1jE5gYHVCwrX5S8fpyYQr2XhX5vUyyFU5Hlxe+FPb";

static const char private_ed25519_pkcs8[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIFdfdbXgPQKRApsO8VfurF3NVFYOozHOkUQ9znPuw04o\n"
    "-----END PRIVATE KEY-----\n";
static const char public_ed25519_pkcs8[] =
    "AAAAC3NzaC1lZDI1NTE5AAAAIIcqwapvpeqecGnlFhan6cxERMDF0f7ezcRNifUDdn0O";

static const char private_locked[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABDnaMIWU+\n"
    "lB/Q2bUe9rGXhKAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAINGiHXtLOJZ+LfGQ\n"
    "SLIfcji1vz5h0wfNqchViql2R+7WAAAAkLySlIwQwulBJD6bG8NaaisarDTXRED3XMITvm\n"
    "Rbjl3wL8OSEgzRNwrNW0/HghPY/8fw33WVozwyKQ6uuOupIyXRIGo12gTXzXwHOI0iNmoR\n"
    "z38jaPBjyr8z+CPi8ggX5dqMLKi/Mn5SGJuhw4MK1yZk4ewZBKz1XeEaN2/vN/ibhaO6kB\n"
    "8rXCWisNPL7AoGGg==\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
static const char private_locked_pem[] =
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "Proc-Type: 4,ENCRYPTED\n"
    "DEK-Info: AES-128-CBC,DFE83D91F844FF1F533FB1956BDA1758\n"
    "\n"
    "H5XyTIkU569QJDhmnqFnMssERshrsAcWoC63rgd0ji+PC4dLCtAJYSeJQFRSaqIt\n"
    "9KrbZB3+TQM1JrNmAejOqwRnm3UQnhM9Wnt3pAGxhNe3TZRBnIJcmInHId/LVGZH\n"
    "H0oxSqz5CfEN5kB9Zev1cHgL21pB7GcAZaT3xzxUBgkiRepMcpzh1zbcVqTAGuTn\n"
    "jVijnJRAeX6Qws59TTZaHLwkaxyu14BNosoipSTX97kRBiyAYyaudkCvbnqczJYg\n"
    "hQSIpDuuLRxidvEiWlbJfk3lrDGp5TTqE5HFdQLl10zv24coFMKzAijbA63heeAL\n"
    "A7ch8qqYR6C3MBNM0Hy6SQG+iR3zB8+kGvxog5OpK2Ae7B3/U/E0rlikRp75RDhF\n"
    "Y+dkqDMfAJ8TIQogpYX8c0OkmGqMFJyA8LOg9xL9RHFs6f9bVHUMm6L6Cj7IDE61\n"
    "HiQM7weIOHACnkAaQuEFOfnt3T+Id0ZIKrsVyzaur9oUIsdo07u2m6LsD1oeRjIP\n"
    "ejE+1X1O+e06t3c4UlJB14NdpCquga+/+mPfa5uufAGW3/Pg4wVaZk0v7CG+gvTb\n"
    "Urb9upmSJIj33t9OpNSkgzWTxsiMBKfFE6FvaMgsvKhtxYyZXqoaV4LTjiONcykX\n"
    "6PSHOvfqcahf9YZYbNnqlse0Go3Lz544WaAmZ7P9raIKpLrqAU5rnHjoRvew+RM8\n"
    "/ikGQZrISfnXyzRQuU1Jkpoa+dmmphP95f7HsYGFD/R+eeJgvE03NNFAqoSJnryX\n"
    "zyiccL7P+IdxX6iSXy5RQ3pXDU30f7SZJ0KnqAkfLuS3GRoCDDvFUd2TsVXNv2xP\n"
    "l9XZvX7EPnzFE5EzJ7vsN9m0j4ZnI9YftUvfc3ewMGu5vlGuU+q9EOeNGWk/HITq\n"
    "7Py1sK9N3s5L8VgA9ccheK54lo5SwW+3sCOb/Nxl2ae3M49a6hFXj3zK/DvcU2m1\n"
    "8xiSaqKIdnZayWdx928SRrXvQrkfnjLYo8oit1jHIYOyrfzx0gRi8pMZo22Oaog9\n"
    "dHhmlLsTCr+Mup4bDQORxLRnXCi4i9h89PBhGWMXOuI+Szzxb5fj0C45X30gnGjr\n"
    "DvfOBVW+6tec0cL53CgloWONSg+RwQkGKL/KEXD/AflyWqoymJgyqkBDqAiVsD4G\n"
    "XMHYTmgFq9TsyOGB2JloW5ZVerZof7ssnsthUKUalGMnhbwLXbQ8PNEChcruFKxC\n"
    "9ZdeXyqoVb/Llk3vt5//axnvgi8JIFerimeb+M9ngQfNStB7A/D13sQhYz9yZ3+C\n"
    "kDYaBud5BYmKSFAQvdYEKgOpt4UT2Z7Nl/JJjsYRokVwDE5s73qMiVFgCPM6lJV6\n"
    "YG+FElDsD+9CM2caJACbBL8mjcXGmmU6SWl7nmYAsgq2yk3HxU1+/SrKP6tXX874\n"
    "QruLiRQgkHMIDciGsKx5pH3Usr/cumyGxNVb4iVPKEgJmh+7ch1yvSiVGeeSs1bA\n"
    "84baRPXqxa8drgH7K8t8dNkKJlwvwkudy57x8qaUSmtkQ+9vIaGpv9tqyMJgvFY/\n"
    "EDwFI/xFMM9dw2EooJxFz5Ftxd+LjA1vkP2upfpKrKbRO5jVDeBCXRG1zetDZoqL\n"
    "-----END RSA PRIVATE KEY-----\n";

#endif
