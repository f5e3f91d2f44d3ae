# Runs in the root of a throw-away Debian that has broker and chat server as Debian sets them up: from the package to the first messages.
set -eu
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
fail() { echo "FAILED: $*"; exit 1; }
# within SECONDS COMMAND...
within() {
	left=$1
	shift
	until "$@" >/run/waited 2>&1; do
		left=$((left - 1))
		[ $left -gt 0 ] || { cat /run/waited /run/log 2>&1; fail "it does not come to: $*"; }
		sleep 1
	done
}
grep -qs localhost /etc/hosts || echo '127.0.0.1 localhost' >>/etc/hosts # as Debian's installer does
pids=
trap 'kill $pids 2>/run/stopped || true' EXIT

echo "the servers"
mkdir -p /run/mosquitto /run/prosody
chown mosquitto /run/mosquitto
chown prosody /run/prosody
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
	-keyout /etc/prosody/certs/localhost.key -out /etc/prosody/certs/localhost.crt 2>/run/openssl
chgrp prosody /etc/prosody/certs/*
chmod 640 /etc/prosody/certs/localhost.key
mosquitto -c /etc/mosquitto/mosquitto.conf >/run/mosquitto.log 2>&1 &
pids="$pids $!"
setpriv --reuid=prosody --regid=prosody --clear-groups prosody -F >/run/prosody.log 2>&1 &
pids="$pids $!"
prosodyctl register receiver localhost secret0 >/run/prosodyctl
prosodyctl register 1001 localhost secret1 >>/run/prosodyctl

echo "apt install ./chatrelay.deb"
apt-get install -y /files/chatrelay.deb >/run/apt 2>&1 || { cat /run/apt; fail "install"; }
grep -q 'edit /etc/chatrelay/chatrelay.env' /run/apt || fail "nobody is told what to do next"

echo "the settings"
cp /etc/prosody/certs/localhost.crt /etc/chatrelay/
sed -i 's|^CHATRELAY_XMPP_JID=.*|CHATRELAY_XMPP_JID=receiver@localhost|; s|^CHATRELAY_XMPP_PASSWORD=.*|CHATRELAY_XMPP_PASSWORD=secret0|
	s|^# CHATRELAY_XMPP_ADDR=.*|CHATRELAY_XMPP_ADDR=localhost:5222|; s|^# CHATRELAY_XMPP_CA_FILE=.*|CHATRELAY_XMPP_CA_FILE=/etc/chatrelay/localhost.crt|' /etc/chatrelay/chatrelay.env
[ "$(grep -c '^CHATRELAY_XMPP_' /etc/chatrelay/chatrelay.env)" = 4 ] || fail "the settings have other names"
# As systemd would, which is not there.
cat >/run/service <<'END'
#!/bin/sh
cd /var/lib/chatrelay
exec env -i $(sed -n 's/^Environment=//p' /usr/lib/systemd/system/chatrelay.service) $(grep -v '^#' /etc/chatrelay/chatrelay.env) \
	setpriv --reuid=chatrelay --regid=chatrelay --clear-groups --no-new-privs /usr/bin/chatrelay "$@"
END
chmod +x /run/service

echo "chatrelay check" # Debian's servers are not set up as docs/SERVERS.md advises: warnings are right
answer=0
/run/service check >/run/check || answer=$?
cat /run/check
[ $answer = 0 ] || [ $answer = 2 ] || fail "check ends with $answer"
grep -q '^ok    mqtt login' /run/check && grep -q '^ok    xmpp login' /run/check || fail "check"

echo "start"
/run/service run 2>/run/log &
pids="$pids $!"
within 30 curl -sf localhost:8080/readyz

echo "the first messages"
mosquitto_sub -t /chat/1002 -q 1 >/run/ben &
pids="$pids $!"
go-sendxmpp -n -u 1001@localhost -p secret1 -j localhost:5222 -l >/run/anna 2>&1 &
pids="$pids $!"
sleep 3 # neither says when it listens
mosquitto_pub -t /chat/1001 -q 2 -m '{"from": "1002", "content": "Hi Anna!", "id": "m1"}'
within 30 grep -qF '{"from": "1002", "content": "Hi Anna!", "id": "m1"}' /run/anna
within 30 grep -qF '"id":"m1","status":"sent"' /run/ben
echo '{"from": "1001", "to": "1002", "content": "Hi Ben!", "id": "x1"}' | go-sendxmpp -n -u 1001@localhost -p secret1 -j localhost:5222 receiver@localhost
within 30 grep -qF '{"from": "1001", "to": "1002", "content": "Hi Ben!", "id": "x1"}' /run/ben
/run/service trace m1 >/run/trace || fail "trace"
grep -q settled /run/trace || { cat /run/trace; fail "trace does not know what became of the first message"; }
echo "ALL WELL"
