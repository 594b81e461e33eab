#!/usr/bin/env bash
# Brings the viewers of tests/system/test_viewers.py: OHIF as built, and cornerstone3D bundled.
set -euo pipefail
cd "$(dirname "$0")"

npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

# OHIF's package holds the built app; what it declares as dependencies is only needed to build it.
ohif=ohif-app-3.12.10.tgz
npm pack --silent --pack-destination node_modules @ohif/app@3.12.10
echo "$(cat ohif.sha512)  node_modules/$ohif" | sha512sum --check --quiet
rm -rf ohif
mkdir ohif
tar -xzf "node_modules/$ohif" -C ohif --strip-components=2 --exclude='*/ort/*' package/dist
ln -sf ../ohif-config.js ohif/app-config.js

# fs and path are asked for only under Node, inside branches that a browser never enters.
bundle() {
  npx esbuild "$@" --bundle --format=esm --outdir=bundle --external:fs --external:path --log-level=error
}
bundle cornerstone.js --minify
bundle node_modules/@cornerstonejs/dicom-image-loader/dist/esm/decodeImageFrameWorker.js
ln -sf ../cornerstone.html bundle/index.html
