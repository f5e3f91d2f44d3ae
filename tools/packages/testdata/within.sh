#!/bin/sh
# within.sh LOWER FILES SCRIPT: runs /files/SCRIPT in a copy of the file system LOWER that is thrown away, in a mount
# namespace of its own. /files is the folder FILES. The network is one of its own, too.
set -eu
ip link set lo up
top=$(mktemp -d)
mount -t tmpfs -o mode=0755 scratch "$top"
mkdir "$top/upper" "$top/work" "$top/root"
mount -t overlay -o "lowerdir=$1,upperdir=$top/upper,workdir=$top/work" overlay "$top/root" || { echo "NO OVERLAY"; exit 77; }
mkdir -p "$top/root/files" "$top/root/proc" "$top/root/dev" "$top/root/run" "$top/root/tmp"
mount --bind "$2" "$top/root/files"
mount --rbind /proc "$top/root/proc"
mount --rbind /dev "$top/root/dev"
mount -t tmpfs run "$top/root/run"
mount -t tmpfs -o mode=1777 tmp "$top/root/tmp"
exec chroot "$top/root" /bin/sh "/files/$3"
