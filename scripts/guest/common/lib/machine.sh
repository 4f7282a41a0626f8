#!/bin/sh
# What every guest of ours does first, a function each: the init that reads this calls them in turn.
# Every fork costs milliseconds on an emulated processor, so this uses shell builtins where it can.

# Where a guest talks to whoever looks at its console.
begin() {
	mount -t proc proc /proc
	mount -t sysfs sysfs /sys
	mount -t devtmpfs dev /dev 2>/dev/null
	mount -t tmpfs -o size=8m run /run
	exec </dev/console >/dev/console 2>&1
}

# /lib/modules/NAME.list holds a driver's files, dependencies first (scripts/guest/build writes them).
loaded=' '
load() {
	while read -r module; do
		case $loaded in *" $module "*) continue ;; esac
		insmod "/lib/modules/$module" || echo "understudy-guest: cannot load $module"
		loaded="$loaded$module "
	done <"/lib/modules/$1.list"
}

# Only for what is there: each driver costs boot time.
load_drivers() {
	load virtio_pci
	for device in /sys/bus/virtio/devices/*/device; do
		[ -e "$device" ] || continue
		read -r id <"$device"
		case $id in
		0x0001) load virtio_net ;;
		0x0002) load virtio_blk ;;
		0x0003) load virtio_console ;;
		0x0004) load virtio-rng ;;
		esac
	done
}

# Settings on the kernel command line: understudy.ip=A.B.C.D/24 understudy.gw=A.B.C.D
bring_up_network() {
	IP=10.77.0.2/24
	GW=10.77.0.1
	read -r cmdline </proc/cmdline
	for word in $cmdline; do
		case $word in
		understudy.ip=*) IP=${word#*=} ;;
		understudy.gw=*) GW=${word#*=} ;;
		esac
	done
	ip link set lo up
	if [ -e /sys/class/net/eth0 ]; then
		ip addr add "$IP" dev eth0
		ip link set eth0 up
		[ -z "$GW" ] || ip route add default via "$GW"
	fi
}
