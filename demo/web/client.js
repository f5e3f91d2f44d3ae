// An ordinary XMPP client: converse.js as it comes, logged in as the friend. It is told of no relay and of no envelope; its
// contacts are the addresses that phones have on XMPP.

const { xmppURL, domain, component, people, friend } = await (await fetch("/config.json")).json();
const address = (landline) => `${landline}@${component}`;

// Its own one, which is seen before it is logged in, has pictures from elsewhere.
customElements.define("converse-footer", class extends HTMLElement {});

converse.plugins.add("contacts", {
  initialize() {
    const { api } = this._converse;
    api.listen.on("rosterContactsFetched", async () => {
      for (const { landline, name } of people) {
        const jid = address(landline);
        if (!(await api.contacts.get(jid))) await api.contacts.add({ jid, name });
      }
      await api.chats.open(address(friend.opens));
    });
  },
});

await converse.initialize({
  whitelisted_plugins: ["contacts"],
  blacklisted_plugins: ["converse-omemo", "converse-register", "converse-push"],
  view_mode: "fullscreen",
  assets_path: "/lib/converse/",
  websocket_url: xmppURL,
  discover_connection_methods: false, // no outside host is asked of anything
  autocomplete_providers_url: undefined,
  authentication: "login",
  auto_login: true,
  jid: `${friend.landline}@${domain}`,
  password: friend.password,
  nickname: friend.name,
  persistent_store: "sessionStorage",
  auto_focus: false,
  play_sounds: false,
  show_desktop_notifications: false,
  render_media: false,
  muc_search_service: null,
  loglevel: "warn",
});
