-- docs/SERVERS.md says why.
data_path = "/chat"
pidfile = "/tmp/prosody.pid"
interfaces = { "*" }
modules_enabled = {
	"roster"; "saslauth"; "tls"; "disco"; "smacks"; "mam"; "offline"; "carbons"; "ping"; "posix"; "blocklist"; "private"; "vcard_legacy"; "pep";
}
modules_disabled = { "s2s" }
c2s_require_encryption = true
authentication = "internal_hashed"
default_archive_policy = true
smacks_max_queue_size = 100000
smacks_hibernation_time = 3600
storage = { archive = "sql" }
sql = { driver = "SQLite3", database = "prosody.sqlite" }
storage_archive_item_limit = 100000
archive_expires_after = "4w"
limits = { c2s = { rate = "10mb/s" } }
log = { info = "*console" }

VirtualHost(ENV_DOMAIN)
	ssl = { key = "/keys/server.key", certificate = "/keys/server.crt" }

Component("conference." .. ENV_DOMAIN) "muc"
	modules_enabled = { "muc_mam" }
	restrict_room_creation = "local"
	muc_room_default_public_jids = true
	muc_log_by_default = true
	muc_room_locking = false
	ssl = { key = "/keys/server.key", certificate = "/keys/server.crt" }
