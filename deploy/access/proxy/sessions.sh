#!/bin/sh
# Give everybody in `people` a new session, which ends all that there are: sessions.sh [FOLDER], then reload nginx.
#
# `people` has a line a person, "name role"; a role is reader or operator. The folder, /etc/nginx/access if none is
# named, gets roles.map (session to role), names.map (session to name) and sessions.map (name to session).
set -eu
cd "${1:-/etc/nginx/access}"
umask 077
made=$(mktemp -d ./sessions.XXXXXX)
trap 'rm -rf "$made"' EXIT
touch "$made/roles.map" "$made/names.map" "$made/sessions.map"

line=0
while read -r name role more || [ -n "$name" ]; do
    line=$((line + 1))
    case $name in '' | '#'*) continue ;; esac
    # A quote or a brace in a name would be configuration of nginx, to whose maps Ann and ann are the same.
    case $name in *[!a-z0-9._@-]*) echo "people, line $line: a name has small letters, digits and . _ @ - only" >&2; exit 1 ;; esac
    case $role:$more in reader: | operator:) ;; *) echo "people, line $line: write: name role; a role is reader or operator" >&2; exit 1 ;; esac
    session=$(openssl rand -hex 32)
    echo "\"$session\" $role;" >> "$made/roles.map"
    echo "\"$session\" \"$name\";" >> "$made/names.map"
    echo "\"$name\" \"$session\";" >> "$made/sessions.map"
done < people
[ -e robots.map ] || touch robots.map
mv "$made/roles.map" "$made/names.map" "$made/sessions.map" .
