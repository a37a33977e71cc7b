#!/bin/sh
# A maker's tool, as an example: VERB UNIT, where the unit is a folder.
# Exit codes: 0 done, 2 no such verb, 3 no unit there, 4 the unit takes nothing any more.
set -eu
verb=$1 unit=$2
[ -d "$unit" ] || exit 3
umask 077
holds() { cat "$unit/$1" 2>/dev/null || echo "$2"; }
keep() { printf '%s\n' "$2" > "$unit/$1"; }
case $verb in
id)
    [ -e "$unit/id" ] || tr -d - < /proc/sys/kernel/random/uuid | cut -c 1-16 > "$unit/id"
    echo "id $(holds id '')"
    echo "model CAM2"
    echo "firmware 1.0.0"
    ;;
state)
    for name in serial attempt; do echo "$name $(holds $name '')"; done
    echo "state $(holds state blank)"
    echo "boots $(holds boots 0)"
    ;;
write)
    [ "$(holds state blank)" != locked ] || exit 4
    for name in password serial attempt; do
        read -r value
        keep $name "$value"
    done
    keep state loaded
    ;;
read) for name in password serial attempt; do echo "$name $(holds $name '')"; done ;;
reset) keep boots $(($(holds boots 0) + 1)) ;;
lock) keep state locked ;;
*) exit 2 ;;
esac
