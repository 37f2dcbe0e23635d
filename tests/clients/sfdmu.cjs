// Runs the SFDMU plugin without the Salesforce CLI around it: the plugin itself is unmodified.
// Usage: node sfdmu.cjs FOLDER_OF_THE_PLUGIN sfdmu:run --path ... --sourceusername ... --targetusername ...
const root = process.argv[2];
const { run } = require(require.resolve('@oclif/command', { paths: [root] }));

run(process.argv.slice(3), { root }).then(
  () => {},
  (error) => {
    console.error(error);
    process.exit(error.oclif?.exit ?? 1);
  },
);
