# Where the suites come from. Sourced by run; $work is where everything lies.

# fetch_source PACKAGE: Debian's source package, unpacked, whether or not this machine's own package lists have sources.
fetch_source() {
  local lists=$work/apt package=$1
  if ls -d "$work/$package"-*/ >/dev/null 2>&1; then return; fi
  mkdir -p "$lists/lists/partial" "$lists/cache/archives/partial" "$lists/parts"
  sed 's/^Types: deb$/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >"$lists/parts/source.sources"
  local options=(-o "Dir::State::Lists=$lists/lists" -o "Dir::Cache=$lists/cache"
    -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$lists/parts")
  apt-get "${options[@]}" -qq update &&
    (cd "$work" && apt-get "${options[@]}" -qq source --download-only "$package") || return
  tar -C "$work" -xf "$work/${package}"_*.orig.tar.xz
}

# The module has no go.mod of its own: these are the versions that it was written against.
fetch_runtime_tools() {
  local source tools=v0.9.0
  if [ -x "$work/runtime-tools/runtimetest" ]; then return; fi
  export GOFLAGS=-mod=mod
  source=$(cd "$work" && go mod download -json "github.com/opencontainers/runtime-tools@$tools" |
    sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  [ -n "$source" ] || return
  rm -rf "$work/runtime-tools"
  cp -r "$source" "$work/runtime-tools" && chmod -R u+w "$work/runtime-tools" && cd "$work/runtime-tools" || return
  rm -rf Godeps vendor go.mod
  go mod init github.com/opencontainers/runtime-tools 2>/dev/null
  go mod edit -require github.com/opencontainers/runtime-spec@v1.0.2 \
    -replace github.com/opencontainers/runtime-spec=github.com/opencontainers/runtime-spec@v1.0.2-0.20190207185410-29686dbc5559 \
    -replace github.com/opencontainers/selinux=github.com/opencontainers/selinux@v1.2.2
  go mod tidy >"$work/runtime-tools.log" 2>&1
  for test in validation/*/; do
    test=$(basename "$test")
    if [ "$test" != util ]; then go build -o "validation/$test/$test.t" "./validation/$test" || return; fi
  done
  CGO_ENABLED=0 go build -o runtimetest ./cmd/runtimetest
}

# A root of busybox's applets: what runc's tests take from an image of that name.
make_busybox_root() {
  local root=$1 applet
  mkdir -p "$root"/{bin,etc,home,root,tmp,usr/sbin,usr/bin,var/spool/mail,proc,sys,dev}
  cp "$(command -v busybox)" "$root/bin/busybox"
  for applet in $(busybox --list); do
    [ -e "$root/bin/$applet" ] || ln "$root/bin/busybox" "$root/bin/$applet"
  done
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
  chmod 1777 "$root/tmp"
}

# A root with Debian's shell and linker, of the packages that this machine has; those of a foreign architecture have the same names.
make_debian_root() {
  local root=$1 path architecture package packages=()
  architecture=$(dpkg --print-architecture)
  for package in dash libc-bin libc6 grep libpcre2-8-0 coreutils libselinux1 libacl1 libattr1 libgmp10; do
    packages+=("$package:$architecture")
  done
  mkdir -p "$root"/{usr/bin,usr/sbin,usr/lib,usr/lib64,proc,sys,dev,tmp,etc,var,root}
  for path in /bin /sbin /lib /lib64; do [ ! -L "$path" ] || cp -a "$path" "$root/"; done
  dpkg -L "${packages[@]}" |
    grep -vE '^/usr/share|^diverted|^package' | while read -r path; do
    if [ -L "$path" ] || [ ! -d "$path" ]; then echo "$path"; fi
  done | tar -cf - -T - 2>/dev/null | tar -xf - -C "$root" --keep-directory-symlink
  chroot "$root" ldconfig
}

fetch_runc() {
  fetch_source runc || return
  local source tool name
  source=$(echo "$work"/runc-*/)
  for tool in recvtty sd-helper seccompagent; do
    [ -x "$source/contrib/cmd/$tool/$tool" ] ||
      (cd "$source" && go build -tags seccomp -o "contrib/cmd/$tool/$tool" "./contrib/cmd/$tool") || return
  done
  for name in busybox debian; do
    [ ! -e "$source/tests/integration/testdata/$name-amd64.tar.xz" ] || continue
    rm -rf "$work/$name"
    "make_${name}_root" "$work/$name" &&
      tar -C "$work/$name" -cJf "$source/tests/integration/testdata/$name-amd64.tar.xz" . || return
    rm -rf "$work/$name"
  done
}

# Debian with Podman and Docker, beside the machine's own system: nothing is installed in that.
fetch_engines() {
  local tree=$work/engines packages="podman containernetworking-plugins docker.io crun iptables procps iproute2 libatomic1"
  [ ! -e "$tree/.done" ] || return 0
  rm -rf "$tree"
  debootstrap --variant=minbase --include=ca-certificates bookworm "$tree" \
    "${BERTH_VM_MIRROR:-http://deb.debian.org/debian}" >"$work/engines.log" 2>&1 || return
  # Nothing starts by being installed.
  printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d" && chmod +x "$tree/usr/sbin/policy-rc.d"
  # shellcheck disable=SC2086 -- a list of words
  chroot "$tree" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages \
    >>"$work/engines.log" 2>&1 || return
  make_busybox_root "$tree/busybox"
  touch "$tree/.done"
}
