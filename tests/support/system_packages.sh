#!/bin/sh
# What the tests need beyond Python: Chromium (panels), PostgreSQL (connector, executor, decision log), fonts with
# Chinese glyphs (screenshots), ssh-keygen (SSH signatures), SoftHSM, npm (axe-core by its hash). Installs them by their system packages where it may,
# else stops and says exactly what to install. Nothing is skipped for want of a server or a browser.
set -u

missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
command -v ssh-keygen >/dev/null 2>&1 || missing="$missing openssh-client"
command -v softhsm2-util >/dev/null 2>&1 || missing="$missing softhsm2"
command -v npm >/dev/null 2>&1 || missing="$missing npm"
fc-list ":lang=zh" 2>/dev/null | grep -q . || missing="$missing fontconfig fonts-noto-cjk"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing system packages:$missing"
  export DEBIAN_FRONTEND=noninteractive
  # A cluster of the system's own is not wanted: the tests start their servers themselves.
  if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
  fi
  { apt-get update && apt-get install -y --no-install-recommends $missing; } >/tmp/steward-packages.$$ 2>&1 && { rm -f /tmp/steward-packages.$$; exit 0; }
  tail -n 5 /tmp/steward-packages.$$
fi
echo "The tests need system packages that are not installed. Please run, as an administrator:"
echo "    apt-get install$missing        (or the same packages of your system)"
exit 2
