#!/usr/bin/env bash
# Fetches the peers that have a Debian package and unpacks them without
# installing anything: prometheus, promtool and victoria-metrics of a newer
# suite than this machine's, because the stable ones are years old.
#
#   benches/peers.sh FOLDER [SUITE [PACKAGE...]]     (default suite: forky)
#
# prints the paths of the binaries, which are named as their packages. The archive is the one that apt on this
# machine is set up for; its keyring must know the suite, otherwise the lists
# are taken unsigned and the script says so.
set -euo pipefail

into=${1:?usage: peers.sh FOLDER [SUITE [PACKAGE...]]}
suite=${2:-forky}
packages=("${@:3}")
[ ${#packages[@]} -gt 0 ] || packages=(prometheus promtool victoria-metrics)
mkdir -p "$into"
into=$(cd "$into" && pwd)

archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)
[ -n "$archive" ] || { echo "apt knows no Debian archive: run apt-get update first" >&2; exit 1; }

apt="$into/apt"
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
: >"$apt/status"
options=(-o "Dir::Etc::SourceList=$apt/sources.list" -o "Dir::Etc::SourceParts=-" -o "Dir::State=$apt"
         -o "Dir::State::Lists=$apt/lists" -o "Dir::State::Status=$apt/status" -o "Dir::Cache=$apt/cache"
         -o "APT::Sandbox::User=root")

update() {
    echo "deb [$1] $archive $suite main" >"$apt/sources.list"
    apt-get "${options[@]}" -qq update
}
if ! update "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg" 2>"$apt/update.log"; then
    echo "peers.sh: this machine's keyring does not know $suite, the lists are not verified" >&2
    update "trusted=yes"
fi

for package in "${packages[@]}"; do
    (cd "$apt" && apt-get "${options[@]}" -qq download "$package")
done
for deb in "$apt"/*.deb; do
    dpkg -x "$deb" "$into"
done
ls "${packages[@]/#/$into/usr/bin/}"
