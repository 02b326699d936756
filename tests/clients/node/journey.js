// Drives a running, empty server with node-vault: from init to transit.  VAULT_ADDR names it.
'use strict';
const assert = require('assert');
const connect = (token) => require('node-vault')({ endpoint: process.env.VAULT_ADDR, token });

const POLICY = 'path "kv2/data/app/*" { capabilities = ["create", "read", "update"] }';
const root = connect();

const refused = (call, status) => assert.rejects(call, (error) => {
  assert.strictEqual(error.response.statusCode, status);
  return true;
});

async function unseal() {
  assert.strictEqual((await root.initialized()).initialized, false);
  const keys = await root.init({ secret_shares: 3, secret_threshold: 2 });
  await root.unseal({ key: keys.keys[0] });
  assert.strictEqual((await root.unseal({ key: keys.keys[1] })).sealed, false);
  root.token = keys.root_token;
  assert.deepStrictEqual((await root.tokenLookupSelf()).data.policies, ['root']);
}

async function kv1() {
  await root.mount({ mount_point: 'kv1', type: 'kv', options: { version: '1' } });
  await root.write('kv1/app', { a: 'b' });
  assert.deepStrictEqual((await root.read('kv1/app')).data, { a: 'b' });
  assert.deepStrictEqual((await root.list('kv1')).data.keys, ['app']);
  await root.delete('kv1/app');
  await refused(root.read('kv1/app'), 404);
}

async function kv2() {
  await root.mount({ mount_point: 'kv2', type: 'kv', options: { version: '2' } });
  await root.write('kv2/data/app/one', { data: { n: 1 } });
  await root.write('kv2/data/app/one', { data: { n: 2 }, options: { cas: 1 } });
  const read = (await root.read('kv2/data/app/one')).data;
  assert.deepStrictEqual(read.data, { n: 2 });
  assert.strictEqual(read.metadata.version, 2);
  await refused(root.write('kv2/data/app/one', { data: {}, options: { cas: 1 } }), 400);
  await root.write('kv2/delete/app/one', { versions: [2] });
  await refused(root.read('kv2/data/app/one'), 404);
  await root.write('kv2/undelete/app/one', { versions: [2] });
  assert.deepStrictEqual((await root.read('kv2/data/app/one')).data.data, { n: 2 });
}

async function policiesAndUserpass() {
  await root.addPolicy({ name: 'app', rules: POLICY });
  assert.ok((await root.policies()).policies.includes('app'));
  await root.enableAuth({ mount_point: 'userpass', type: 'userpass' });
  await root.write('auth/userpass/users/ann', { password: 'pw', policies: 'app' });
  const user = connect();
  await refused(user.userpassLogin({ username: 'ann', password: 'wrong' }), 400);
  const login = await user.userpassLogin({ username: 'ann', password: 'pw' });
  assert.deepStrictEqual(login.auth.policies, ['app', 'default']);
  await user.write('kv2/data/app/two', { data: { a: 'b' } });
  await refused(user.list('kv2/metadata/app'), 403);
  await user.tokenRenewSelf();
  await user.tokenRevokeSelf();
  await refused(user.tokenLookupSelf(), 403);
}

async function transit() {
  await root.mount({ mount_point: 'transit', type: 'transit' });
  await root.write('transit/keys/app', {});
  const plaintext = Buffer.from('plain').toString('base64');
  const { ciphertext } = (await root.encryptData({ name: 'app', plaintext })).data;
  assert.match(ciphertext, /^vault:v1:/);
  assert.strictEqual((await root.decryptData({ name: 'app', ciphertext })).data.plaintext, plaintext);
  await refused(root.decryptData({ name: 'app', ciphertext: 'vault:v1:AAAA' }), 400);
}

(async () => {
  for (const step of [unseal, kv1, kv2, policiesAndUserpass, transit]) {
    await step();
    console.log('ok', step.name);
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
