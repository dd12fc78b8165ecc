#!/bin/sh
# The first and only program of the machine. Each line it prints is a word and its
# value; `machine.rs` reads them.
export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mkdir -p /dev/shm
mount -t tmpfs none /dev/shm
for module in /modules/*; do insmod "$module"; done
echo "kernel $(uname -r)"
# shellcheck disable=SC2154 # the kernel's command line says it
mount -t ext4 -o "$options" /dev/vda /disk || dmesg | tail -n 5
# shellcheck source=/dev/null disable=SC2154
. "/$task.sh"
echo end
# The kernel would panic if this ended.
while :; do sleep 1000; done
