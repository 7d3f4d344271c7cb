#!/bin/bash
# Makes this instance the NAT instance of {{ZONE}}: {{NAME}}. It needs Amazon Linux 2023 and one object in S3; NAT waits for
# no package. The agent, natd, completes the launch; whatever goes wrong before it runs, gives the launch up.
set -euo pipefail

metadata() {
  local token
  token=$(curl --silent --show-error --fail --retry 20 --retry-delay 1 --retry-connrefused --max-time 5 --request PUT \
    --header 'X-aws-ec2-metadata-token-ttl-seconds: 300' http://169.254.169.254/latest/api/token) &&
    curl --silent --show-error --fail --retry 5 --retry-delay 1 --max-time 5 --header "X-aws-ec2-metadata-token: $token" \
      "http://169.254.169.254/latest/meta-data/$1"
}

abandon() {
  local status=$?
  trap - EXIT
  if [ "$status" -ne 0 ]; then
    echo "polynat: the launch failed with status $status and is given up" >&2
    aws autoscaling complete-lifecycle-action --region '{{REGION}}' --auto-scaling-group-name '{{GROUP}}' \
      --lifecycle-hook-name '{{LAUNCH_HOOK}}' --instance-id "$(metadata instance-id)" --lifecycle-action-result ABANDON ||
      echo 'polynat: giving it up failed too; the hook does it when its time is over' >&2
  fi
  exit "$status"
}
trap abandon EXIT

# What the user adds may fail, and may hang for five minutes.
hook() {
  echo "polynat: hook $1 begins"
  timeout 300 bash "/etc/polynat/$1.sh" </dev/null || echo "polynat: hook $1 ended with status $?" >&2
}

install -d -m 0755 /etc/polynat
cat >{{AGENT_FILE}} <<'{{AGENT_MARKER}}'
{{AGENT}}
{{AGENT_MARKER}}
cat >/etc/systemd/system/natd.service <<'POLYNAT_UNIT'
[Unit]
Description=NAT of {{ZONE}}: {{NAME}}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/local/bin/natd run --config {{AGENT_FILE}}
Restart=always
RestartSec=1
TimeoutStopSec=60
OOMScoreAdjust=-900
LimitNOFILE=65536
StateDirectory=natd
RuntimeDirectory=natd
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_SYS_ADMIN
NoNewPrivileges=yes
ProtectHome=yes
ProtectSystem=full
PrivateTmp=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_UNIX
RestrictNamespaces=net
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
POLYNAT_UNIT
{{BEFORE}}
# Amazon Linux has networkd configure the interface anew when an address comes or goes. It is to keep its lease meanwhile, or clients
# are cut off. A file of the interface's own, 70-, takes the place of 80-ec2 some time after the boot.
mac=$(metadata mac)
for device in /sys/class/net/*; do
  [ "$(cat "$device/address")" = "$mac" ] || continue
  for network in "70-${device##*/}" 80-ec2; do
    install -d -m 0755 "/etc/systemd/network/$network.network.d"
    cat >"/etc/systemd/network/$network.network.d/polynat.conf" <<'{{NETWORK_MARKER}}'
{{NETWORK}}
{{NETWORK_MARKER}}
  done
done
# The lease is given up this once, while nobody is served.
networkctl reload || echo 'polynat: the network service does not read its settings: clients may be cut off when an address comes' >&2
fetch() {
  aws s3api get-object --region '{{REGION}}' --bucket '{{BUCKET}}' --key '{{KEY}}' \
    --cli-connect-timeout 5 --cli-read-timeout 20 /run/natd.download >/dev/null &&
    echo '{{SHA256}}  /run/natd.download' | sha256sum --check --quiet
}
tries=0
until fetch; do
  tries=$((tries + 1))
  if [ "$tries" -ge 30 ]; then
    echo 'polynat: natd cannot be fetched' >&2
    exit 1
  fi
  sleep 2
done
install -m 0755 /run/natd.download /usr/local/bin/natd
rm /run/natd.download
/usr/local/bin/natd check-config --config {{AGENT_FILE}}
systemctl daemon-reload
systemctl enable --now natd.service
trap - EXIT
{{AFTER}}
