#!/bin/sh
# Makes a PKI for development with `strew certs`: an authority, a publisher, two peers and an observer, valid for a week.
#
#   sh certs/develop.sh [DIR]        # default: target/pki, which git ignores
#
# STREW names the program when it is not in PATH. Nothing here is for production: the authority's key lies beside the nodes'.
set -eu
dir=${1:-target/pki}
strew=${STREW:-strew}
"$strew" certs init --dir "$dir" --name "strew development" --days 30
"$strew" certs issue seed --role seed --days 7 --bundle --dir "$dir"
for peer in peer1 peer2; do
    "$strew" certs issue "$peer" --role peer --days 7 --bundle --dir "$dir"
done
"$strew" certs issue observer --role observer --days 7 --dir "$dir"
"$strew" certs show "$dir"/*/cert.pem
