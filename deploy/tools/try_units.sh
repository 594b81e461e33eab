#!/usr/bin/env bash
# Boots a Debian with systemd in a container, installs the wheel and the units as the manual says,
# sends the bundled study, and shows what became of it. As root on Debian 12, about three minutes:
#   deploy/tools/try_units.sh
#   deploy/tools/try_units.sh SCANS    # and retrains on a folder of ten tumour-free patients
# Needs systemd-container, mmdebstrap, a Debian mirror and PyPI; for torch see TORCH_INDEX in
# containers/Containerfile.training.
set -euo pipefail
scans=${1:+$(realpath "$1")}
cd "$(dirname "$0")/../.."

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mmdebstrap --quiet --variant=minbase \
  --include=ca-certificates,python3-venv,systemd-sysv,dbus,dcmtk bookworm "$root"

install -d "$root/root/source" "$root/etc/sysusers.d" "$root/etc/tmpfiles.d"
cp -r agent storage model_training pyproject.toml constraints.txt README.md LICENSE "$root/root/source"
cp -r deploy/systemd/neurosieve-* "$root/etc/systemd/system/"
cp deploy/systemd/sysusers.conf "$root/etc/sysusers.d/neurosieve.conf"
cp deploy/systemd/tmpfiles.conf "$root/etc/tmpfiles.d/neurosieve.conf"
# The packages are fetched with this machine's settings, then the container needs no network.
python3 -m venv --copies --without-pip "$root/opt/neurosieve"
python3 -m pip --python "$root/opt/neurosieve/bin/python3" install --quiet -c constraints.txt .
if [ -n "$scans" ]; then
  python3 -m pip --python "$root/opt/neurosieve/bin/python3" install --quiet -c constraints.txt \
    ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
  python3 -m pip --python "$root/opt/neurosieve/bin/python3" install --quiet -c constraints.txt '.[train]'
  cp -rL "$scans" "$root/srv/scans"
  chmod -R a+rX "$root/srv/scans"
fi

cat >"$root/root/trial" <<'TRIAL'
#!/bin/bash
exec >/root/said 2>&1
ln -sfn /usr/bin/python3 /opt/neurosieve/bin/python3
sed -i '1s|.*|#!/opt/neurosieve/bin/python3|' /opt/neurosieve/bin/neurosieve
printf '[completion]\nquiet_seconds = 2.0\n' >/etc/neurosieve/agent.toml
systemd-tmpfiles --create neurosieve.conf
systemctl daemon-reload
node() { (cd /etc/neurosieve && runuser -u neurosieve -- env \
  NEUROSIEVE_NODE__DATA_DIR=/var/lib/neurosieve /opt/neurosieve/bin/neurosieve "$@"); }
# What the status page answers, the first line of it.
page() { /opt/neurosieve/bin/python3 -c 'import sys, urllib.request as u
for name in sys.argv[1:]:
    print(name, u.urlopen(f"http://127.0.0.1:8480/{name}", timeout=5).read().decode().split("\n")[0])' "$@"; }
# Whether the unit in question came to its "ready" line.
ready() { for _ in $(seq 60); do journalctl -o cat -u "$1" | grep -q '^ready ' && return; sleep 1; done; }
listens() {
  for _ in $(seq 60); do echoscu -aec NEUROSIEVE 127.0.0.1 11112 2>/dev/null && return; sleep 1; done
}
end() {
  systemctl stop "$@"
  systemctl show "$@" -p Id -p Result -p ExecMainStatus
  journalctl --no-pager -o cat | grep -E ' (WARNING|ERROR) |:onnxruntime:|denied' | sort -u
  rm -rf /var/lib/neurosieve/*
}
try() {
  echo "== $*"
  systemctl start "$@"
  listens
  storescu -aec NEUROSIEVE --scan-directories 127.0.0.1 11112 /root/source/agent/demo/study
  for _ in $(seq 60); do
    node studies list --json | grep -qE '"(DELIVERED|FAILED|NOT_ANALYSED)"' && break; sleep 1
  done
  node studies list
  page healthz readyz
  end "$@"
}
try neurosieve-serve
try neurosieve-listen neurosieve-work@0
echo "== neurosieve-status"
systemctl start neurosieve-status
ready neurosieve-status
page healthz readyz metrics
systemctl start neurosieve-listen
listens
echo "beside neurosieve-listen: $(systemctl is-active neurosieve-status)"
systemctl stop neurosieve-listen
end neurosieve-status
if [ -d /srv/scans ]; then
  echo "== neurosieve-training"
  systemctl start neurosieve-training
  ready neurosieve-training
  node retrain --data /srv/scans --steps 4 &
  sleep 40
  systemctl restart neurosieve-training  # it goes on where it was
  wait $!
  node models list
  end neurosieve-training
fi
for unit in work@0 status training; do
  systemd-analyze security --no-pager "neurosieve-$unit" | tail -1
done
poweroff
TRIAL
chmod +x "$root/root/trial"
cat >"$root/etc/systemd/system/trial.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=idle
ExecStart=/root/trial
[Install]
WantedBy=multi-user.target
UNIT
install -d "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../trial.service "$root/etc/systemd/system/multi-user.target.wants/trial.service"

timeout 1500 systemd-nspawn --quiet --directory="$root" --register=no --keep-unit --private-network \
  --boot >/dev/null
cat "$root/root/said"
