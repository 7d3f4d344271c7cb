#!/bin/sh
# Serves one page on ports {{PORTS}}, with nothing but Python's standard library.
# A unit for each port rather than a background job, so that a reboot keeps it; a user without rights that may bind low ports.
set -eu
mkdir -p /srv/page
echo '{{PAGE}}' | base64 -d >/srv/page/index.html
cat >/etc/systemd/system/page@.service <<'UNIT'
[Unit]
Description=Page on port %i
After=network-online.target
Wants=network-online.target
[Service]
DynamicUser=yes
AmbientCapabilities=CAP_NET_BIND_SERVICE
ExecStart=/usr/bin/python3 -m http.server %i --directory /srv/page
Restart=always
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
for port in {{PORTS}}; do
    systemctl enable --now "page@$port.service"
done
