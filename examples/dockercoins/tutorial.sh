#!/bin/sh
# DockerCoins through a registry that runs on the cluster itself: build, ship, run.
#
# Run it against a node that is up ('minicloud init'), from anywhere. MINICLOUD names the binary, ADDRESS the address
# on which the node publishes ports, when they are not the usual ones.
set -eu

MINICLOUD=${MINICLOUD:-minicloud}
ADDRESS=${ADDRESS:-127.0.0.1}
REGISTRY=127.0.0.1:5000
TAG=v0.1
sources=$(cd "$(dirname "$0")/../../guests" && pwd)

say() {
  printf '\n# %s\n' "$*"
}

run() {
  printf '$ %s\n' "$*"
  "$@"
}

minicloud() {
  printf '$ minicloud %s\n' "$*"
  "$MINICLOUD" "$@"
}

answers() {
  tries=0
  until curl --silent --fail --output /dev/null --max-time 5 "$1"; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { echo "no answer from $1" >&2; exit 1; }
    sleep 0.5
  done
}

say "A registry is a service like any other. Its blobs are in a volume of its own."
minicloud service create --name registry --publish 5000:5000 registry

say "It is empty."
answers "http://$ADDRESS:5000/v2/"
run curl --silent --fail "http://$ADDRESS:5000/v2/_catalog"
echo

say "Build the four services of DockerCoins that are ours, and push them. 127.0.0.1:5000 means this cluster's registry on every node."
for SERVICE in hasher rng webui worker; do
  minicloud build -t "$REGISTRY/$SERVICE:$TAG" "$sources/$SERVICE"
  minicloud push "$REGISTRY/$SERVICE:$TAG"
done
run curl --silent --fail "http://$ADDRESS:5000/v2/_catalog"
echo

say "They talk to one another on a network of their own."
minicloud network create --driver overlay dockercoins

say "Redis is bundled."
minicloud service create --network dockercoins --name redis redis

say "The others come from the registry, whichever node they run on."
for SERVICE in hasher rng webui worker; do
  minicloud service create --network dockercoins --detach=true --name "$SERVICE" "$REGISTRY/$SERVICE:$TAG"
done

say "Show the page to the world."
minicloud service update webui --publish-add 8000:80

say "And mine faster."
minicloud service scale worker=10

answers "http://$ADDRESS:8000/json"
say "The page is at http://$ADDRESS:8000/"
minicloud service ls
