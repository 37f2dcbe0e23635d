// jsforce, unmodified, against a local org: REST, collections, composite, Bulk 1.0 and Bulk 2.0.
// Usage: node jsforce.mjs http://127.0.0.1:PORT ACCESS_TOKEN USERNAME PASSWORD+TOKEN
import assert from 'node:assert/strict';
import jsforce from 'jsforce';

const [instanceUrl, accessToken, username, password] = process.argv.slice(2);
const NS = 'CHANNEL_ORDERS__';
const ORDER = `${NS}Service_Order__c`;
const conn = new jsforce.Connection({ instanceUrl, accessToken, version: '64.0' });

// identity, limits, describe
assert.equal((await conn.identity()).user_type, 'STANDARD');
assert.ok((await conn.limits()).DailyApiRequests.Max > 0);
assert.ok((await conn.describeGlobal()).sobjects.some((one) => one.name === ORDER));
const described = await conn.sobject(ORDER).describe();
assert.ok(described.fields.find((one) => one.name === 'COA_Source_Id__c').externalId);

// SOAP login
const soap = new jsforce.Connection({ loginUrl: instanceUrl, version: '64.0' });
await soap.login(username, password);
assert.equal((await soap.query('SELECT Id FROM Organization')).totalSize, 1);

// single records
const made = await conn.sobject('Account').create({ Name: 'jsforce "Ünï" \u{1F680}' });
assert.ok(made.success);
assert.equal((await conn.sobject('Account').retrieve(made.id)).Name, 'jsforce "Ünï" \u{1F680}');
assert.ok((await conn.sobject('Account').update({ Id: made.id, Phone: '1' })).success);
assert.ok((await conn.sobject('Account').destroy(made.id)).success);
await assert.rejects(conn.sobject('Account').retrieve(made.id), /entity is deleted/);
await assert.rejects(conn.query('SELECT Nope FROM Account'), { name: 'INVALID_FIELD' });

// collections, upsert, query with paging and relationships
const many = await conn.sobject('Account').create(
  Array.from({ length: 450 }, (_, n) => ({ Name: `js ${n}` })),
  { allowRecursive: true },
);
assert.equal(many.filter((one) => one.success).length, 450);
const page = await conn.query("SELECT Id, Owner.Name FROM Account WHERE Name LIKE 'js %'", { maxFetch: 200 });
assert.equal(page.totalSize, 450);
const all = await conn.sobject('Account').find({ Name: { $like: 'js %' } }, ['Id', 'Name']).execute({ autoFetch: true, maxFetch: 10000 });
assert.equal(all.length, 450);
const contract = (await conn.query(`SELECT Id FROM ${NS}Partner_Contract_Terms__c LIMIT 1`)).records[0].Id;
const order = {
  COA_Source_Id__c: 'js0000000000000001',
  [`${NS}Customer_Org_ID__c`]: '00D000000000001',
  [`${NS}Order_Type__c`]: 'Initial',
  [`${NS}Partner_Contract_Rules__c`]: contract,
};
assert.equal((await conn.sobject(ORDER).upsert(order, 'COA_Source_Id__c')).created, true);
assert.equal((await conn.sobject(ORDER).upsert(order, 'COA_Source_Id__c')).created, false);

// Bulk 1.0 by CSV and XML
const loaded = await conn.bulk.load('Account', 'insert', [{ Name: 'bulk one', Phone: '1' }, { Name: null, Phone: '2' }]);
assert.equal(loaded[0].success, true);
assert.equal(loaded[1].success, false);
const stream = await conn.bulk.query("SELECT Id, Name FROM Account WHERE Name = 'bulk one'");
const rows = await stream.toArray();
assert.equal(rows.length, 1);

// Bulk 2.0
const results = await conn.bulk2.loadAndWaitForResults({
  object: 'Account',
  operation: 'insert',
  input: [{ Name: 'bulk two a' }, { Name: 'bulk two b' }],
  pollInterval: 100,
  pollTimeout: 30000,
});
assert.equal(results.successfulResults.length, 2);
assert.equal(results.failedResults.length, 0);
assert.equal(results.unprocessedRecords.length, 0);
const records = await (await conn.bulk2.query("SELECT Id, Name FROM Account WHERE Name LIKE 'bulk two%'", { pollInterval: 100, pollTimeout: 30000 })).toArray();
assert.deepEqual(records.map((one) => one.Name).sort(), ['bulk two a', 'bulk two b']);

// composite and tooling
const composite = await conn.requestPost('/composite', {
  compositeRequest: [{ method: 'GET', url: '/services/data/v64.0/limits', referenceId: 'l' }],
});
assert.equal(composite.compositeResponse[0].httpStatusCode, 200);
const installed = await conn.tooling.query('SELECT SubscriberPackage.NamespacePrefix FROM InstalledSubscriberPackage');
assert.equal(installed.records[0].SubscriberPackage.NamespacePrefix, 'CHANNEL_ORDERS');
console.log('jsforce: ok');
