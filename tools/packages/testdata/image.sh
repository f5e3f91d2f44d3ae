#!/bin/sh
# image.sh ROOT DATA USER COMMAND...: runs a command in an image's root file system, read-only but for the volume DATA.
set -eu
root=$1 data=$2 user=$3
shift 3
mount --bind "$root" "$root"
mount --bind "$data" "$root/data"
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user" "$root" "$@"
