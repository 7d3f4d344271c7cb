#!/bin/sh
# Makes this instance the SNAT gateway of {{CIDR}}: forwards, and masquerades what leaves the VPC.
# A unit rather than a one-off command, so that a reboot keeps it; -C before -A, so that a second start changes nothing.
set -eu
cat >/etc/sysctl.d/90-snat.conf <<'SYSCTL'
net.ipv4.ip_forward = 1
net.ipv4.conf.all.send_redirects = 0
SYSCTL
cat >/etc/systemd/system/snat.service <<'UNIT'
[Unit]
Description=Source NAT for {{CIDR}}
After=network-online.target
Wants=network-online.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'sysctl --system && { iptables -w -t nat -C POSTROUTING -s {{CIDR}} ! -d {{CIDR}} -j MASQUERADE || iptables -w -t nat -A POSTROUTING -s {{CIDR}} ! -d {{CIDR}} -j MASQUERADE; }'
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --now snat.service
