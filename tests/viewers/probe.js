// What a viewer built on cornerstone3D says of the segmentation that it shows.
window.probe = {
  segmentation() {
    return cornerstoneTools.segmentation.state.getSegmentations()[0];
  },

  slices() {
    const data = this.segmentation()?.representationData.Labelmap;
    return (data?.imageIds ?? []).map(id => cornerstone.cache.getImage(id)).filter(Boolean);
  },

  filled() {
    return this.slices().some(image => image.voxelManager.getScalarData().some(Boolean));
  },

  // Segment number -> patient coordinates (LPS mm) of all its voxels.
  points() {
    const found = {};
    for (const image of this.slices()) {
      const labels = image.voxelManager.getScalarData();
      const plane = cornerstone.metaData.get('imagePlaneModule', image.imageId);
      labels.forEach((label, at) => {
        if (label) (found[label] ??= []).push(place(plane, at));
      });
    }
    return found;
  },

  // Brings every viewport to the slice, or the point, where the segment is widest.
  show(segment) {
    const size = image => image.voxelManager.getScalarData().filter(v => v === segment).length;
    const sizes = this.slices().map(size);
    const widest = this.slices()[sizes.indexOf(Math.max(...sizes))];
    for (const { viewport } of cornerstone.getEnabledElements()) {
      if (viewport.setImageIdIndex) {
        viewport.setImageIdIndex(viewport.getImageIds().indexOf(widest.referencedImageId));
      } else {
        viewport.jumpToWorld(middle(this.points()[segment]));
      }
    }
  },

  setVisible(visible) {
    const { visibility } = cornerstoneTools.segmentation.config;
    const specifier = { segmentationId: this.segmentation().segmentationId, type: 'Labelmap' };
    for (const { viewport } of cornerstone.getEnabledElements()) {
      visibility.setSegmentationRepresentationVisibility(viewport.id, specifier, visible);
      viewport.render();
    }
  },

  colour(segment) {
    const { viewport } = cornerstone.getEnabledElements()[0];
    const { segmentationId } = this.segmentation();
    const { color } = cornerstoneTools.segmentation.config;
    return color.getSegmentIndexColor(viewport.id, segmentationId, segment).slice(0, 3);
  },

  // What OHIF lists of the study: modality and number of instances.
  listed() {
    return displaySets().map(set => [set.Modality, set.instances.length]);
  },

  // Where OHIF puts the images of a modality: mm along their normal, in its order.
  depths(modality) {
    const { images } = displaySets().find(set => set.Modality === modality);
    return images.map(({ ImagePositionPatient: place, ImageOrientationPatient: [a, b, c, d, e, f] }) => {
      const normal = [b * f - c * e, c * d - a * f, a * e - b * d];
      return normal.reduce((sum, part, axis) => sum + part * place[axis], 0);
    });
  },
};

// OHIF makes a set of the report's key images by itself; it is in no list.
function displaySets() {
  const study = new URLSearchParams(location.search).get('StudyInstanceUIDs');
  const all = services.displaySetService.getActiveDisplaySets();
  return all.filter(set => set.StudyInstanceUID === study && !set.excludeFromThumbnailBrowser);
}

function place(plane, at) {
  const along = (at % plane.columns) * plane.columnPixelSpacing;
  const down = Math.floor(at / plane.columns) * plane.rowPixelSpacing;
  return [0, 1, 2].map(
    axis =>
      plane.imagePositionPatient[axis] +
      plane.rowCosines[axis] * along +
      plane.columnCosines[axis] * down
  );
}

function middle(points) {
  return [0, 1, 2].map(axis => points.reduce((sum, p) => sum + p[axis], 0) / points.length);
}
