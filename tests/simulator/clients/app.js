// An app on atlassian-connect-express as its users write them: it registers itself, registers again
// when its descriptor changes, and deregisters when it is told to end.
const express = require("express");
const bodyParser = require("body-parser");
const ace = require("atlassian-connect-express");

// In memory: the prebuilt sqlite of the default store is not installed.
function memoryStore() {
  const clients = new Map();
  return {
    get: async (key, client) => (clients.get(client) || {})[key] || null,
    set: async (key, value, client) => {
      clients.set(client, { ...clients.get(client), [key]: value });
      return value;
    },
    del: async (key, client) => {
      if (key) delete (clients.get(client) || {})[key];
      else clients.delete(client);
    },
    isMemoryStore: () => true,
    saveInstallation: async (value, client) => {
      clients.set(client, { ...clients.get(client), clientInfo: value });
      return value;
    },
    associateInstallations: async () => {},
    getAllClientInfos: async () => [...clients.values()].map((each) => each.clientInfo),
  };
}
ace.store.register("mem", memoryStore);

const app = express();
const addon = ace(app);
app.use(bodyParser.json());
app.use(addon.middleware());
app.get("/hello", addon.authenticate(), (req, res) => res.send("<h1>Hello from ACE</h1>"));
app.listen(addon.config.port(), () => {
  console.log("listening");
  addon.register();
});
