#!/bin/sh
# Installs pathcurate @VERSION@ from this folder, without network.
#   sh install.sh [DIRECTORY]      DIRECTORY is made; the default is ~/pathcurate
# PYTHON=/path/to/python3.11 names the Python that is used. Nothing outside DIRECTORY is written; no rights of an
# administrator are needed.
set -eu
umask 022

arch="@ARCH@"
pythons="@PYTHONS@"
least_glibc=28
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
target=${1:-$HOME/pathcurate}

fail() {
  echo "Error: $1" >&2
  echo "错误：$2" >&2
  exit 1
}

[ "$(uname -s)" = Linux ] || fail "this archive is for Linux" "本安装包仅适用于 Linux"
[ "$(uname -m)" = "$arch" ] ||
  fail "this archive is for $arch, this machine is $(uname -m); take the archive for it" \
    "本安装包适用于 $arch，本机为 $(uname -m)；请使用对应的安装包"

glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null || true)
glibc=${glibc#glibc }
case $glibc in
  2.[0-9]*) ;;
  *) fail "glibc was not found (getconf GNU_LIBC_VERSION); musl systems such as Alpine are not supported" \
    "未找到 glibc（getconf GNU_LIBC_VERSION）；不支持 Alpine 等 musl 系统" ;;
esac
minor=${glibc#2.}
minor=${minor%%[!0-9]*}
[ "$minor" -ge "$least_glibc" ] ||
  fail "glibc $glibc is too old: 2.$least_glibc or later is needed (RHEL 8, Debian 10, openEuler 20.03, Kylin V10)" \
    "glibc $glibc 版本过低：需要 2.$least_glibc 或更高（RHEL 8、Debian 10、openEuler 20.03、麒麟 V10）"

version_of() {
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

python=
if [ -n "${PYTHON:-}" ]; then
  candidates=$PYTHON
else
  candidates=
  for one in $pythons; do candidates="$candidates python$one"; done
  candidates="$candidates python3"
fi
for candidate in $candidates; do
  found=$(version_of "$candidate")
  for one in $pythons; do
    if [ "$found" = "$one" ] && [ -z "$python" ]; then
      python=$candidate
      version=$one
    fi
  done
done
[ -n "$python" ] ||
  fail "no Python of version $pythons was found; install one (python3.11 of the distribution) or set PYTHON=/path/to/it" \
    "未找到 Python $pythons；请安装（如系统软件包 python3.11），或设置 PYTHON=/路径"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
  fail "$python lacks the modules venv and ensurepip; on Debian install python$version-venv" \
    "$python 缺少 venv 与 ensurepip 模块；Debian 系统请安装 python$version-venv"

[ ! -e "$target" ] && [ ! -L "$target" ] ||
  fail "$target is there already; name another directory, or move it away" "$target 已存在；请另选目录或先移走"

(cd "$here" && sha256sum --check --quiet --strict SHA256SUMS) ||
  fail "files of this archive are damaged or missing (named above); copy it again" "安装包文件损坏或缺失（见上）；请重新复制"

# A half-made installation is worse than none.
trap 'rm -rf "$target"' EXIT
trap 'exit 1' HUP INT TERM
"$python" -m venv "$target" || fail "no environment could be made in $target" "无法在 $target 建立环境"
PIP_CONFIG_FILE=/dev/null "$target/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-cache-dir \
  --find-links "$here/wheels" --require-hashes --no-deps -r "$here/requirements-$version.txt" ||
  fail "the packages could not be installed (see above)" "软件包安装失败（见上）"
"$target/bin/python" -m pip check --disable-pip-version-check >/dev/null ||
  fail "the installed packages do not fit together; this archive is faulty" "已安装的软件包互不兼容；安装包有误"
"$target/bin/pathcurate" --version ||
  fail "pathcurate does not start (see above)" "pathcurate 无法启动（见上）"
trap - EXIT HUP INT TERM

echo "Installed in $target. Next: $target/bin/pathcurate init --demo demo-hospital"
echo "已安装至 $target。下一步：$target/bin/pathcurate init --demo demo-hospital"
