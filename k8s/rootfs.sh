#!/bin/sh
# rootfs.sh BINARY FOLDER: the root of a file system in which BINARY runs: itself, the shared libraries it is linked with,
# root certificates, the two files in which names of users are looked up. No shell, no package manager, nothing to write
# to. For scanners of images and for the licences: of each Debian package that something was taken from, its entry and
# its copyright.
set -eu
binary=$1 root=$2

# as Debian: /lib and /lib64 lead into /usr
mkdir -p "$root/usr/bin" "$root/usr/lib" "$root/usr/lib64" "$root/etc/ssl/certs" "$root/var/lib/dpkg/status.d" "$root/tmp"
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"
chmod 1777 "$root/tmp"

install -m 755 "$binary" "$root/usr/bin/shoal"
strip --strip-debug "$root/usr/bin/shoal" # keeps the names of functions, for backtraces and perf

# libgcc_s is loaded by name, where glibc ends a thread
libraries=$(ldd "$binary" | grep -o '/[^ ]*'; ldconfig -p | grep -o '/.*/libgcc_s\.so\.1' | head -n 1)
for l in $libraries; do
	mkdir -p "$root${l%/*}"
	cp -L "$l" "$root$l"
done
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"

echo 'shoal:x:65532:65532:shoal:/:/sbin/nologin' >"$root/etc/passwd"
echo 'shoal:x:65532:' >"$root/etc/group"
cp -L /etc/os-release "$root/etc/os-release"

for f in $libraries; do dpkg-query -S "$(realpath "$f")"; done | sed 's/: .*//' | sort -u | while read -r p; do
	dpkg-query -s "$p" >"$root/var/lib/dpkg/status.d/${p%%:*}"
	mkdir -p "$root/usr/share/doc/${p%%:*}"
	cp -L "/usr/share/doc/${p%%:*}/copyright" "$root/usr/share/doc/${p%%:*}/"
done
