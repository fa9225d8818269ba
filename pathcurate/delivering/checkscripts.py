"""What lies beside the volumes so that nobody needs this program to check them: a list, a script, and how to."""

from collections.abc import Mapping, Sequence

from pathcurate.delivering.names import README_FILE, SCRIPT_FILE
from pathcurate.digests import sha256_text
from pathcurate.model.delivery import VOLUME_LIST, VolumeEntry

_SCRIPT = """\
# Checks every file of volumes-sha256.txt in the folder of this script.
# Windows PowerShell 5.1 or later:
#   powershell.exe -NoProfile -ExecutionPolicy Bypass -File check.ps1
# Exit code: 0 all files are as they were sent, 1 some are not, 2 the list cannot be used.

$ErrorActionPreference = 'Stop'
$folder = Split-Path -Parent $MyInvocation.MyCommand.Path
$list = Join-Path $folder 'volumes-sha256.txt'
if (-not (Test-Path -LiteralPath $list -PathType Leaf)) {
    Write-Host 'volumes-sha256.txt is missing'
    exit 2
}

$checked = 0
$failed = 0
foreach ($line in [System.IO.File]::ReadAllLines($list)) {
    if ($line -cnotmatch '^([0-9a-f]{64})  ([A-Za-z0-9][A-Za-z0-9._-]*)$') {
        Write-Host 'volumes-sha256.txt was changed'
        exit 2
    }
    $wanted = $Matches[1]
    $name = $Matches[2]
    $path = Join-Path $folder $name
    $checked = $checked + 1
    if (-not (Test-Path -LiteralPath $path -PathType Leaf)) {
        Write-Host ($name + ': MISSING')
        $failed = $failed + 1
        continue
    }
    try {
        $found = (Get-FileHash -LiteralPath $path -Algorithm SHA256).Hash.ToLowerInvariant()
    } catch {
        $found = ''
    }
    if ($found -ceq $wanted) {
        Write-Host ($name + ': OK')
    } else {
        Write-Host ($name + ': FAILED')
        $failed = $failed + 1
    }
}

if ($checked -eq 0) {
    Write-Host 'volumes-sha256.txt is empty'
    exit 2
}
if ($failed -gt 0) {
    Write-Host ([string]$failed + ' of ' + [string]$checked + ' files are not as they were sent')
    exit 1
}
Write-Host ('all ' + [string]$checked + ' files are as they were sent')
exit 0
"""

_README = """\
交付数据

1. 校验（无需任何专用软件）
   Linux：     sha256sum -c volumes-sha256.txt
   macOS：     shasum -a 256 -c volumes-sha256.txt
   Windows：   powershell.exe -NoProfile -ExecutionPolicy Bypass -File check.ps1
   每个文件都应显示 OK。

2. 接收（解密、解包、核对、签收）
   pathcurate product receive 本目录 --to 目标目录 --identity recipient.age --key recipient.pem --agreement agreement.json
   --agreement 请使用您自己保存的合同文件，而不是本目录中的副本。
   生成的 receipt.json 请发回提供方。

3. 不使用 pathcurate 时
   volume-0001.tar.age 等文件可由 age（age-encryption.org/v1）解密，再用 tar 解包：
   age -d -i recipient.age volume-0001.tar.age | tar -x -C 目标目录
   全部解包后，在目标目录中运行：sha256sum -c manifest-sha256.txt

DELIVERY.json 说明本次交付的内容；agreement.json 和 policy.odrl.jsonld 是使用条款。


A delivery of data

1. Check it (no special software is needed)
   Linux:      sha256sum -c volumes-sha256.txt
   macOS:      shasum -a 256 -c volumes-sha256.txt
   Windows:    powershell.exe -NoProfile -ExecutionPolicy Bypass -File check.ps1
   Every file must be OK.

2. Receive it (decrypt, unpack, check, sign the receipt)
   pathcurate product receive THIS_FOLDER --to FOLDER --identity recipient.age --key recipient.pem --agreement agreement.json
   For --agreement take the contract that you have kept yourself, not the copy in this folder.
   Send the receipt.json that it makes to the holder of the data.

3. Without pathcurate
   age (age-encryption.org/v1) decrypts volume-0001.tar.age and the others, and tar unpacks them:
   age -d -i recipient.age volume-0001.tar.age | tar -x -C FOLDER
   Once all are unpacked, run in that folder: sha256sum -c manifest-sha256.txt

DELIVERY.json says what is delivered; agreement.json and policy.odrl.jsonld are the terms of its use.
"""


def beside(documents: Mapping[str, bytes], volumes: Sequence[VolumeEntry]) -> dict[str, bytes]:
    """Everything that lies beside the volumes, in the order in which it is written: the list of all comes last.

    Args:
        documents: name to content.
        volumes: that are there.
    """
    content = {
        # A mark at its beginning: without one, older programs on Windows take it for another encoding.
        README_FILE: b"\xef\xbb\xbf" + _README.replace("\n", "\r\n").encode(),
        SCRIPT_FILE: _SCRIPT.replace("\n", "\r\n").encode("ascii"),
        **documents,
    }
    digests = {volume.name: volume.sha256 for volume in volumes}
    digests |= {name: sha256_text(one).removeprefix("sha256:") for name, one in content.items()}
    content[VOLUME_LIST] = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items())).encode()
    return content
