#!/bin/sh
# Installs slotgen from SOURCE into a virtual environment at TARGET: locked and hashed, no build tool left in it.
# LOCK is `runtime`, or `extras` for the web page and traces, too.
# The image is built by it, and so is what tests/deploy/test_image.py starts.
set -eu
source=${1:?name the checkout}
target=${2:?name the folder of the virtual environment}
lock=${3:-runtime}
python=${PYTHON:-python3}
workshop=$(mktemp -d)
trap 'rm -rf "$workshop"' EXIT

install="pip install --quiet --no-cache-dir --disable-pip-version-check --no-compile"
"$python" -m venv "$target"
"$target"/bin/python -m $install --no-deps --require-hashes -r "$source"/requirements/"$lock".lock

"$target"/bin/python -m $install --no-deps --require-hashes -r "$source"/requirements/build.lock --target "$workshop"/tools
PYTHONPATH="$workshop"/tools "$target"/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps \
    --no-build-isolation --wheel-dir "$workshop" "$source"
"$target"/bin/python -m $install --no-deps "$workshop"/slotgen-*.whl

# Written once here, since the root is read-only later.
"$target"/bin/python -m compileall -q -j 0 "$target" || true
"$target"/bin/python -m pip uninstall --quiet --yes --disable-pip-version-check pip setuptools 2>/dev/null ||
    "$target"/bin/python -m pip uninstall --quiet --yes --disable-pip-version-check pip

# What is in the image, for whoever has to look a vulnerability up: CycloneDX, read from what was installed.
"$python" -m venv "$workshop"/sbom
"$workshop"/sbom/bin/python -m $install --no-deps --require-hashes -r "$source"/requirements/sbom.lock
"$workshop"/sbom/bin/cyclonedx-py environment --output-reproducible --output-file "$target"/slotgen.cdx.json "$target"
