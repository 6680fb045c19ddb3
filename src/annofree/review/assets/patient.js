"use strict";
(() => {
  const element = (id) => document.getElementById(id);
  const data = JSON.parse(element("annofree-data").textContent);
  const state = { sequence: data.sequences[0], overlay: "mask", region: data.regions[0], look: {}, viewer: null, images: {}, scores: {} };

  async function unpack(id) {
    const text = atob(element(id).textContent);
    const raw = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) raw[i] = text.charCodeAt(i);
    return new Response(new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  }

  // --- threshold: voxels per level, counted here from the stored levels (or given, where the picture is coarser)
  async function count(region) {
    const levels = data.levels[region];
    let counts = levels.counts;
    if (!counts) {
      counts = new Array(levels.stops.length + 1).fill(0);
      const bytes = new Uint8Array(await unpack("score-" + region), 352);
      for (let i = 0; i < bytes.length; i++) counts[bytes[i]]++;
    }
    let sum = 0;
    return counts.slice(1).reverse().map((n) => (sum += n)).reverse();
  }

  async function showThreshold(region, repaint) {
    const slider = element("slider-" + region), levels = data.levels[region];
    const above = await (levels.above ??= count(region));
    // Read after waiting: whoever comes last through here, what is shown belongs to where the slider stands now.
    const stop = Number(slider.value), voxels = above[stop], ml = voxels * data.voxelMl;
    const value = Number(levels.stops[stop].toPrecision(4));
    const output = element("volume-" + region);
    output.textContent = ml.toFixed(2) + " ml";
    output.dataset.voxels = voxels;
    element("value-" + region).textContent = "score > " + value + (stop === levels.own ? ", as used" : "");
    slider.setAttribute("aria-valuetext", "score above " + value + ": " + ml.toFixed(1) + " millilitres");
    element("now-" + region).setAttribute("x1", stop);
    element("now-" + region).setAttribute("x2", stop);
    if (repaint) { state.region = region; choose("overlay", "score"); }
  }

  for (const region of data.regions) {
    element("slider-" + region).addEventListener("input", () => showThreshold(region, true));
    element("own-" + region).addEventListener("click", () => moveTo(region, data.levels[region].own));
    showThreshold(region, false);
  }

  function moveTo(region, stop) {
    element("slider-" + region).value = stop;
    showThreshold(region, true);
  }

  // --- choices
  function choose(group, value) {
    const input = document.querySelector(`input[name=${group}][value="${value}"]`);
    if (input) { input.checked = true; state[group] = value; refresh(group); }
  }
  document.querySelectorAll("#tools input").forEach((input) =>
    input.addEventListener("change", () => { state[input.name] = input.value; refresh(input.name); }));

  function refresh(group) {
    if (group === "sequence") document.querySelectorAll("img[data-sequence]").forEach((image) => {
      image.hidden = image.dataset.sequence !== state.sequence;
    });
    if (group === "overlay") document.body.classList.toggle("bare", state.overlay === "none" || (state.overlay === "score" && !still()));
    if (state.viewer) paint(group);
  }

  // --- without the viewer: pictures keep their outlines, and what only the viewer can do is not offered
  const still = () => document.documentElement.dataset.viewer === "none";

  function stayStill(why) {
    document.documentElement.dataset.viewer = "none";
    element("viewer-note").textContent += why;
    refresh("overlay");
  }

  // --- brightness, contrast and the overlay's strength
  const knob = (id) => Number(element(id).value) / 100;
  const opacity = () => knob("opacity");
  // The middle of each slider is the picture as stored; the window narrows with contrast and moves with brightness.
  function greyWindow() {
    const width = 255 * 2 ** (2 * (0.5 - knob("window"))), middle = 127.5 + 255 * (0.5 - knob("level"));
    return [middle - width / 2, middle + width / 2];
  }
  function look() {
    const [low, high] = greyWindow();
    const slope = 255 / (high - low), shift = -low / (high - low);
    // brightness(b) multiplies; contrast(c) scales around one half: together slope * v + shift
    const contrast = Math.max(0.01, 1 - 2 * shift), gain = slope / contrast;
    document.documentElement.style.setProperty("--look", `brightness(${gain}) contrast(${contrast})`);
    document.documentElement.style.setProperty("--outline", Math.min(1, 0.1 + 3 * opacity()));
    if (state.viewer) paint("look");
  }
  for (const id of ["level", "window", "opacity"]) element(id).addEventListener("input", look);
  element("look").addEventListener("click", () => {
    for (const id of ["level", "window", "opacity"]) element(id).value = element(id).defaultValue;
    look();
  });

  // --- the viewer
  const gradient = { R: [227, 227, 255], G: [90, 137, 235], B: [170, 196, 250], A: [0, 210, 225], I: [0, 1, 255] };

  async function volume(name, colormap, top) {
    const image = await niivue.NVImage.new(await unpack(name), name + ".nii", colormap, 1, null, 0, top);
    return image;
  }

  async function start() {
    const context = document.createElement("canvas").getContext("webgl2");
    if (!context) { stayStill(" This browser shows no WebGL, so these are still pictures."); return; }
    context.getExtension("WEBGL_lose_context")?.loseContext();
    const code = document.createElement("script");
    code.textContent = new TextDecoder().decode(await unpack("niivue-code"));
    document.head.append(code);
    const canvas = element("canvas");
    canvas.hidden = false;
    const viewer = new niivue.Niivue({
      dragAndDropEnabled: false, isRadiologicalConvention: true, sagittalNoseLeft: true, logLevel: "error",
      loadingText: "", backColor: [0, 0, 0, 1], crosshairColor: [0.75, 0.8, 0.85, 0.6],
      crosshairWidth: 0.5, crosshairWidthUnit: "mm", crosshairGap: 8, atlasOutline: 1,
      fontColor: [0.73, 0.77, 0.8, 1], fontMinPx: 11, fontSizeScaling: 0.3, isResizeCanvas: true,
      multiplanarShowRender: 1, multiplanarLayout: 2, multiplanarPadPixels: 10, tileMargin: 10,
      showAllOrientationMarkers: true, clipPlaneHotKey: "", cycleClipPlaneHotKey: "", viewModeHotKey: "", isAlphaClipDark: true,
    });
    await viewer.attachToCanvas(canvas);
    viewer.addColormap("annofree-score", gradient);
    viewer.onLocationChange = (location) => {
      element("where").textContent = location.mm ? "x, y, z " + Array.from(location.mm).slice(0, 3).map((v) => v.toFixed(0)).join(", ") + " mm" : "";
    };
    state.images[state.sequence] = await volume("image-" + state.sequence, "gray", 255);
    state.labels = await volume("labels", "gray", 3);
    state.labels.setColormapLabel(data.labelColours);
    state.viewer = viewer;
    viewer.opts.sliceType = viewer.sliceTypeMultiplanar;
    await paint("overlay");
    goTo(data.key);
    element("planes").style.visibility = "hidden";
    document.documentElement.dataset.viewer = "ready";
  }

  function goTo(voxel) {
    const viewer = state.viewer;
    if (!viewer) return;
    viewer.scene.crosshairPos = viewer.vox2frac(voxel.map((v, i) => Math.min(v, viewer.volumes[0].dimsRAS[i + 1] - 1)));
    viewer.createOnLocationChange();
    viewer.drawScene();
  }

  let painting = Promise.resolve();
  const paint = (group) => (painting = painting.then(() => paintNow(group)));

  async function paintNow(group) {
    const viewer = state.viewer;
    if (group === "view") {
      viewer.setSliceType({ planes: viewer.sliceTypeMultiplanar, axial: viewer.sliceTypeAxial, coronal: viewer.sliceTypeCoronal,
        sagittal: viewer.sliceTypeSagittal, render: viewer.sliceTypeRender }[state.view]);
      return;
    }
    if (!state.images[state.sequence]) state.images[state.sequence] = await volume("image-" + state.sequence, "gray", 255);
    const layers = [state.images[state.sequence]];
    [layers[0].cal_min, layers[0].cal_max] = greyWindow();
    if (state.overlay === "mask") { state.labels.opacity = opacity() / 2; layers.push(state.labels); }
    if (state.overlay === "score" && data.levels[state.region]) {
      const levels = data.levels[state.region];
      const score = (state.scores[state.region] ??= await volume("score-" + state.region, "annofree-score", 255));
      score.cal_min = Number(element("slider-" + state.region).value);
      score.cal_max = levels.stops.length;
      score.opacity = Math.min(1, 2.4 * opacity());
      layers.push(score);
    }
    viewer.volumes = layers;
    viewer.back = layers[0];
    viewer.overlays = layers.slice(1);
    viewer.updateGLVolume();
    document.documentElement.dataset.painted = state.sequence + " " + state.overlay;
  }

  // --- pictures and rows lead to their place in the viewer
  document.querySelectorAll("button.tile").forEach((tile) => tile.addEventListener("click", (event) => {
    const voxel = data.key.slice();
    voxel[2] = Math.floor(Number(tile.dataset.index) / data.step[2]);
    if (event.detail > 0) {  // a pointer, not the keyboard: right is left, and front is up
      const box = tile.getBoundingClientRect();
      voxel[0] = Math.round((1 - (event.clientX - box.left) / box.width) * (data.shape[0] - 1));
      voxel[1] = Math.round((1 - (event.clientY - box.top) / box.height) * (data.shape[1] - 1));
    }
    goTo(voxel);
    element("stage").scrollIntoView({ block: "nearest" });
  }));
  document.querySelectorAll("tr[data-voxel]").forEach((row) => {
    const go = () => goTo(JSON.parse(row.dataset.voxel));
    row.addEventListener("click", go);
    row.addEventListener("keydown", (event) => { if (event.key === "Enter") go(); });
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const region = data.regions.includes(state.region) ? state.region : data.regions[0];
    if (/^[1-4]$/.test(event.key) && data.sequences[event.key - 1]) choose("sequence", data.sequences[event.key - 1]);
    else if ("mM".includes(event.key)) choose("overlay", "mask");
    else if ("sS".includes(event.key)) choose("overlay", "score");
    else if ("nN".includes(event.key)) choose("overlay", "none");
    else if (region && "rR".includes(event.key)) moveTo(region, data.levels[region].own);
    else if (region && "[]".includes(event.key)) moveTo(region, Number(element("slider-" + region).value) + (event.key === "]" ? 1 : -1));
    else if (document.activeElement === element("canvas") && ["ArrowUp", "ArrowDown"].includes(event.key)) {
      const axis = { coronal: 1, sagittal: 0 }[state.view] ?? 2, move = [0, 0, 0];
      move[axis] = event.key === "ArrowUp" ? 1 : -1;
      state.viewer.moveCrosshairInVox(...move);
      event.preventDefault();
      event.stopPropagation();
    }
  }, true);

  start().catch((error) => {
    element("canvas").hidden = true;
    element("planes").style.visibility = "";
    stayStill(" The viewer could not start (" + error.message + "), so these are still pictures.");
  });
})();
