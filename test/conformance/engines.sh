#!/bin/bash
# Inside Debian with Podman and Docker (fetch_engines): `engines.sh podman|docker RUNTIME` makes each do its work with
# that runtime, and prints TAP. Everything lies below /run/engine, in namespaces that end with it.
set -u
engine=$1 runtime=$2
count=0 failed=0 said=/run/engine/said
mkdir -p /run/engine/v

# check NAME COMMAND...: passes when the command does
check() {
  local name=$1; shift
  count=$((count + 1))
  # Functions are known to a bash, not to timeout.
  if timeout 90 bash -c '"$@"' check "$@" >"$said" 2>&1; then echo "ok $count - $engine: $name"; return; fi
  failed=1
  echo "not ok $count - $engine: $name"
  tail -n 8 "$said" | sed 's/^/# /'
}
# prints TEXT COMMAND...: what the command prints has the text
prints() { local text=$1; shift; local all; all=$("$@" 2>&1); printf '%s\n' "$all"; [[ $all == *"$text"* ]]; }
# ends CODE COMMAND...
ends() { local code=$1 got=0; shift; "$@" || got=$?; echo "ended with $got"; [ "$got" = "$code" ]; }
# becomes STATE NAME
becomes() {
  local tries
  for tries in $(seq 100); do
    [ "$(call inspect -f '{{.State.Status}}' "$2" 2>/dev/null)" = "$1" ] && return
    sleep 0.1
  done
  call inspect -f '{{.State.Status}}' "$2"
  return 1
}
no_container() { [ -z "$(call ps -aq 2>&1)" ] && [ -z "$(ls /run/berth-oci 2>/dev/null)" ]; }
in_bash() { bash -c "$1"; }
export -f prints ends becomes no_container in_bash

case $engine in
  podman)
    call() {
      podman --root /run/engine/root --runroot /run/engine/runroot --tmpdir /run/engine/tmp \
        --storage-driver vfs --cgroup-manager cgroupfs --events-backend file --runtime "$runtime" "$@"
    }
    limits="--ulimit nofile=1024:1024 --ulimit nproc=1000:1000"
    ;;
  docker)
    dockerd --data-root /run/engine/root --exec-root /run/engine/exec --pidfile /run/engine/pid \
      -H unix:///run/engine/sock --storage-driver vfs --add-runtime "tested=$runtime" --default-runtime tested \
      >/run/engine/dockerd.log 2>&1 &
    trap 'kill %1; wait' EXIT
    call() { docker -H unix:///run/engine/sock "$@"; }
    for tries in $(seq 300); do call info >/dev/null 2>&1 && break; sleep 0.2; done
    limits=
    ;;
  *) echo "unknown engine $engine" >&2; exit 2 ;;
esac
never=--pull=never
export runtime engine limits never
export -f call
do_run() { call run $limits $never "$@"; }
export -f do_run
image=localhost/busybox:latest
check "imports an image" in_bash "tar -C /busybox -c . | call import - $image"
[ $failed = 0 ] || { echo "1..$count"; exit 1; }
check "runs, and passes output on" prints hello do_run --rm --network none $image echo hello
check "passes the exit code on" ends 7 do_run --rm --network none $image sh -c 'exit 7'
check "tells of a program that is not there" ends 127 do_run --rm --network none $image /none
check "runs as a user, in a directory, with variables" \
  prints '1000:33 /usr/bin v' do_run --rm --network none -u 1000:33 -w /usr/bin -e K=v $image sh -c 'echo $(id -u):$(id -g) $(pwd) $K'
check "gives stdin" prints given in_bash "echo given | do_run --rm -i --network none $image cat"
check "gives a terminal" prints /dev/pts script -qec "bash -c 'do_run --rm -t --network none $image tty'" /dev/null
check "limits memory and processes" prints 67108864 do_run --rm --network none -m 64m --pids-limit 40 $image \
  sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null'
check "mounts a volume" prints kept in_bash \
  "do_run --rm --network none -v /run/engine/v:/v $image sh -c 'echo kept >/v/f' && cat /run/engine/v/f"
check "makes the root read-only, with a tmpfs" ends 1 do_run --rm --network none --read-only --tmpfs /t $image \
  sh -c 'touch /t/f && touch /f'
check "lends its bridge network" prints eth0 do_run --rm $image ip -o addr show eth0
check "starts in the background" do_run -d --name web --network none $image sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
check "tells that it runs" becomes running web
check "executes in it" prints inside call exec web echo inside
check "passes an exec's exit code on" ends 5 call exec web sh -c 'exit 5'
check "executes as another user" prints 1000 call exec -u 1000 web id -u
check "executes with a terminal" prints /dev/pts script -qec "bash -c 'call exec -t web tty'" /dev/null
check "lists its processes" prints sleep call top web
check "pauses" call pause web
check "tells that it is paused" becomes paused web
check "resumes" call unpause web
check "runs on" becomes running web
[ "$engine" != docker ] || check "changes a limit" call update --pids-limit 50 web
check "stops by the signal that was asked for" call stop -t 20 web
check "tells the exit code" prints 3 call inspect -f '{{.State.ExitCode}}' web
check "starts again" call start web
check "restarts" call restart -t 5 web
check "kills" call kill web
check "tells that it ended" becomes exited web
check "removes" call rm web
check "removes what runs" in_bash "do_run -d --name held --network none $image sleep 1000 && call rm -f held"
check "leaves nothing" no_container
echo "1..$count"
exit $failed
