# Runs in the root of a throw-away Debian: the package's whole life, as an operator leads it.
set -eu
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
fail() { echo "FAILED: $*"; exit 1; }
same() { [ "$1" = "$2" ] || fail "$3: got '$1', want '$2'"; }

# Images for containers leave out documentation, which dpkg -V then misses.
rm -f /etc/dpkg/dpkg.cfg.d/*
rm -f /var/lib/man-db/auto-update # its index takes longer than all the rest

# What is asked of systemd is written down.
mkdir -p /run/systemd/system
cat >/run/systemctl <<'END'
#!/bin/sh
echo "$*" >>/run/asked
END
chmod +x /run/systemctl
rm -f /usr/bin/systemctl /bin/systemctl
ln -s /run/systemctl /usr/bin/systemctl
asked() { same "$(tr '\n' ';' </run/asked)" "$1" "what was asked of systemd at $2"; : >/run/asked; }

echo "install"
dpkg -i /files/old.deb >/run/dpkg.log 2>&1 || { cat /run/dpkg.log; fail "install"; }
grep -q 'edit /etc/chatrelay/chatrelay.env' /run/dpkg.log || fail "nobody is told what to do next"
asked '--system daemon-reload;' install
same "$(dpkg-query -W -f '${db:Status-Status} ${Conffiles}' chatrelay | tr -d '\n' | cut -d' ' -f1-3)" "installed  /etc/chatrelay/chatrelay.env" "state"
same "$(stat -c '%a %U:%G' /etc/chatrelay/chatrelay.env)" "600 root:root" "settings"
same "$(stat -c '%a %U:%G' /var/lib/chatrelay)" "700 chatrelay:chatrelay" "journal"
same "$(stat -c '%a %U:%G' /usr/bin/chatrelay)" "755 root:root" "binary"
same "$(getent passwd chatrelay | cut -d: -f6,7)" "/var/lib/chatrelay:/usr/sbin/nologin" "user"
dpkg -V chatrelay || fail "dpkg -V"
[ ! -e /etc/systemd/system/multi-user.target.wants/chatrelay.service ] || fail "it is enabled"
if command -v systemd-analyze >/dev/null; then
	systemd-analyze verify /usr/lib/systemd/system/chatrelay.service >/run/verify 2>&1 || { cat /run/verify; fail "the unit"; }
	if grep chatrelay.service /run/verify; then fail "the unit"; fi
	systemd-analyze security --offline=true --threshold=15 chatrelay.service >/run/security 2>&1 || { cat /run/security; fail "hardening"; }
	tail -n 1 /run/security
fi

echo "run, as the service does"
cat >>/etc/chatrelay/chatrelay.env <<'END'
CHATRELAY_MQTT_URL=tcp://127.0.0.1:1
CHATRELAY_XMPP_ADDR=127.0.0.1:1
CHATRELAY_HTTP_ADDR=127.0.0.1:0
END
cat >/run/service <<'END'
#!/bin/sh
cd /var/lib/chatrelay
exec env -i $(sed -n 's/^Environment=//p' /usr/lib/systemd/system/chatrelay.service) $(grep -v '^#' /etc/chatrelay/chatrelay.env) \
	setpriv --reuid=chatrelay --regid=chatrelay --clear-groups --no-new-privs /usr/bin/chatrelay "$@"
END
chmod +x /run/service
start() {
	/run/service run 2>/run/log &
	waited=0
	until grep -q '"chatrelay starts"' /run/log; do
		waited=$((waited + 1))
		[ $waited -lt 300 ] || { cat /run/log; fail "it does not start"; }
		sleep 0.1
	done
}
start
kill -TERM $!
wait $! || { cat /run/log; fail "it does not end in peace"; }
same "$(stat -c '%a %U' /var/lib/chatrelay/journal.db)" "600 chatrelay" "the journal's file"
# A panic, which SIGQUIT is like, must not look like a wrong setting: after that it is not started again.
start
kill -QUIT $!
ended=0
wait $! || ended=$?
[ $ended -gt 128 ] || fail "a panic ends it with $ended"
/run/service journal ls >/dev/null || fail "journal ls"

echo "upgrade"
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -s /usr/lib/systemd/system/chatrelay.service /etc/systemd/system/multi-user.target.wants/chatrelay.service
dpkg -i /files/new.deb >/run/dpkg.log 2>&1 </dev/null || { cat /run/dpkg.log; fail "upgrade"; }
asked '--system daemon-reload;--system daemon-reload;try-restart chatrelay.service;' upgrade
grep -q '^CHATRELAY_XMPP_ADDR=127.0.0.1:1$' /etc/chatrelay/chatrelay.env || fail "the upgrade has taken the settings away"
[ -s /var/lib/chatrelay/journal.db ] || fail "the upgrade has taken the journal away"
dpkg --compare-versions "$(dpkg-query -W -f '${Version}' chatrelay)" gt "$(cat /files/old.version)" || fail "the version has not risen"

echo "remove"
dpkg -r chatrelay >/run/dpkg.log 2>&1 || { cat /run/dpkg.log; fail "remove"; }
asked 'stop chatrelay.service;--system daemon-reload;' remove
[ ! -e /usr/bin/chatrelay ] || fail "the binary is still there"
[ -s /var/lib/chatrelay/journal.db ] && [ -s /etc/chatrelay/chatrelay.env ] || fail "remove has taken more than the program"

echo "purge"
dpkg -P chatrelay >/run/dpkg.log 2>&1 || { cat /run/dpkg.log; fail "purge"; }
for left in /etc/chatrelay /var/lib/chatrelay /usr/share/doc/chatrelay /etc/systemd/system/multi-user.target.wants/chatrelay.service; do
	if [ -e "$left" ] || [ -L "$left" ]; then fail "purge leaves $left"; fi
done

echo "install again"
dpkg -i /files/new.deb >/run/dpkg.log 2>&1 </dev/null || { cat /run/dpkg.log; fail "install again"; }
same "$(stat -c '%a %U:%G' /var/lib/chatrelay)" "700 chatrelay:chatrelay" "journal"
echo "ALL WELL"
