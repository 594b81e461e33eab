// A small viewer of cornerstone3D's own parts: reformats a series and lays its SEG over it.
import * as cornerstone from '@cornerstonejs/core';
import * as cornerstoneTools from '@cornerstonejs/tools';
import * as loader from '@cornerstonejs/dicom-image-loader';
import { adaptersSEG } from '@cornerstonejs/adapters';

const PLANES = ['axial', 'sagittal', 'coronal'];
const { segmentation, Enums } = cornerstoneTools;

async function open({ images, segmentationFile }) {
  await cornerstone.init();
  await loader.init({ maxWebWorkers: 1 });
  await cornerstoneTools.init();
  const imageIds = images.map(path => `wadouri:${location.origin}${path}`);
  // The headers must be known before a volume can be laid out.
  await Promise.all(imageIds.map(id => cornerstone.imageLoader.loadAndCacheImage(id)));
  const engine = await showImages(imageIds);
  await showSegmentation(imageIds, segmentationFile);
  engine.render();
}

async function showImages(imageIds) {
  const engine = new cornerstone.RenderingEngine('engine');
  engine.setViewports(PLANES.map(viewport));
  const volume = await cornerstone.volumeLoader.createAndCacheVolume('images', { imageIds });
  await volume.load();
  await cornerstone.setVolumesForViewports(engine, [{ volumeId: 'images' }], PLANES);
  return engine;
}

function viewport(name) {
  return {
    viewportId: name,
    element: document.getElementById(name),
    type: cornerstone.Enums.ViewportType.ORTHOGRAPHIC,
    defaultOptions: { orientation: name },
  };
}

async function showSegmentation(imageIds, file) {
  const buffer = await (await fetch(file)).arrayBuffer();
  const { createFromDICOMSegBuffer } = adaptersSEG.Cornerstone3D.Segmentation;
  const read = await createFromDICOMSegBuffer(imageIds, buffer, {
    metadataProvider: cornerstone.metaData,
  });
  const data = { imageIds: read.labelMapImages.flat().map(image => image.imageId) };
  const type = Enums.SegmentationRepresentations.Labelmap;
  segmentation.addSegmentations([{ segmentationId: 'seg', representation: { type, data } }]);
  for (const plane of PLANES) {
    await segmentation.addLabelmapRepresentationToViewport(plane, [{ segmentationId: 'seg' }]);
  }
}

Object.assign(window, { cornerstone, cornerstoneTools, viewer: { open } });
