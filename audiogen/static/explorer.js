// The explorer: hear a model's sounds while you steer them. One ES module without dependencies, used by the notebook's widget
// (audiogen.demo.explore) and by pages of the docs, which pass render() a stand-in with get, on and send.
//
// The page sends   {kind: "sound", id, settings}                     and has at most one request on its way;
// it is answered   {kind: "sound", id, python}, [float32 samples]    or {kind: "error", id, message}.
// With the sound may come `base`, where in the latent space the middle of the pad is. Then, if the spec says what the model has
// learned (`known`: class after class, a list of latent vectors), the pad shows where these are: a dot for each.
// A sound depends on nothing but the settings, so when an answer comes only the latest settings are asked for next.

const RAMP = 0.015         // s: how long a sound that is cut off fades
const REMEDY = "Kernel → Restart, then run this cell again."
const GAP = 0.08           // s: a sound that replaces another one starts no sooner after it
const QUIET = 150          // ms: without an answer for so long, say that work goes on
const PATIENCE = 8         // s: without an answer for so long, say so
const PIANO = "AWSEDFTGYHUJK"   // letter keys of one octave, by place
const BLACK = [1, 3, 6, 8, 10]
const NOTES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"]

// ---------------------------------------------------------------------------------------------------- signal

// Fourier transform in place, for lengths that are powers of two.
const circles = new Map()                                 // length -> cosines, sines

export function fft(re, im) {
  const n = re.length
  if (!circles.has(n)) circles.set(n, [Math.cos, Math.sin].map(f => Float64Array.from({ length: n / 2 }, (_, k) => f(-2 * Math.PI * k / n))))
  const [cosines, sines] = circles.get(n)
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1
    for (; j & bit; bit >>= 1) j ^= bit
    j ^= bit
    if (i < j) {
      const x = re[i], y = im[i]
      re[i] = re[j]; im[i] = im[j]; re[j] = x; im[j] = y
    }
  }
  for (let size = 2; size <= n; size *= 2) {
    const half = size / 2, stride = n / size
    for (let k = 0; k < half; k++) {
      const c = cosines[k * stride], s = sines[k * stride]
      for (let a = k; a < n; a += size) {
        const b = a + half, x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c
        re[b] = re[a] - x; im[b] = im[a] - y
        re[a] += x; im[a] += y
      }
    }
  }
}

export const hann = n => Float64Array.from({ length: n }, (_, i) => 0.5 - 0.5 * Math.cos(2 * Math.PI * i / n))

// Levels in dBFS, frame after frame, as audiogen.stft.spectrogram has them: centred frames, a sine of amplitude 1 reads 0.
export function spectrogram(x, { windowSize = 512, hopSize = 128, floor = -80 } = {}) {
  const frames = 1 + Math.max(Math.floor(x.length / hopSize), Math.ceil((x.length - Math.floor(windowSize / 4)) / hopSize))
  const bins = windowSize / 2 + 1, window = hann(windowSize), full = windowSize / 4
  const db = new Float32Array(frames * bins), re = new Float64Array(windowSize), im = new Float64Array(windowSize)
  for (let t = 0; t < frames; t += 2) {                   // two real frames make one complex transform
    const start = t * hopSize - windowSize / 2
    for (let i = 0; i < windowSize; i++) {
      re[i] = window[i] * (x[start + i] ?? 0)
      im[i] = window[i] * (x[start + hopSize + i] ?? 0)
    }
    fft(re, im)
    for (let k = 0; k < bins; k++) {
      const m = (windowSize - k) % windowSize
      const first = Math.hypot(re[k] + re[m], im[k] - im[m]) / 2, second = Math.hypot(im[k] + im[m], re[m] - re[k]) / 2
      db[t * bins + k] = Math.max(floor, 20 * Math.log10(first / full))
      if (t + 1 < frames) db[(t + 1) * bins + k] = Math.max(floor, 20 * Math.log10(second / full))
    }
  }
  return { db, frames, bins }
}

// Matplotlib's magma by a polynomial (Matt Zucker's fit): 0 … 1 to red, green, blue of 0 … 255.
export function magma(v) {
  const rows = [[-0.002136, 0.251661, 8.353717, -27.668733, 52.176140, -50.768525, 18.655706],
                [-0.000750, 0.677523, -3.577720, 14.264731, -27.943606, 29.046583, -11.489774],
                [-0.005386, 2.494026, 0.314468, -13.649213, 12.944169, 4.234153, -5.601962]]
  return rows.map(row => Math.max(0, Math.min(255, 255 * row.reduceRight((sum, c) => sum * v + c))))
}

// The bytes of a 16-bit mono WAV file.
export function wav(x, sampleRate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * x.length))
  const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)))
  text(0, "RIFF"); view.setUint32(4, 36 + 2 * x.length, true); text(8, "WAVEfmt ")
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true)
  view.setUint32(24, sampleRate, true); view.setUint32(28, 2 * sampleRate, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true)
  text(36, "data"); view.setUint32(40, 2 * x.length, true)
  x.forEach((v, i) => view.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, Math.round(32768 * v))), true))
  return view.buffer
}

// ---------------------------------------------------------------------------------------------------- sound

// Plays one sound at a time. The one before fades out in 15 ms, since cutting it off would click; the new one starts at full
// strength, since a ramp would take a drum's attack away.
export class Player {
  wake() {                                                // browsers allow sound only from a gesture on
    this.context ??= new AudioContext({ latencyHint: "interactive" })
    if (this.context.state === "suspended") this.context.resume()
  }
  play(x, sampleRate) {                                   // → when it starts (s, of the context), if it does
    if (!this.context || !x?.length) return
    const now = this.context.currentTime, old = this.voice
    const start = !old || now >= old.end ? now : old.start > now ? old.start : Math.max(now, old.start + GAP)
    this.stop(start)
    const buffer = this.context.createBuffer(1, x.length, sampleRate), source = this.context.createBufferSource(), gain = this.context.createGain()
    buffer.copyToChannel(x, 0)
    source.buffer = buffer
    source.connect(gain).connect(this.context.destination)
    source.start(start)
    this.voice = { source, gain, start, end: start + buffer.duration }
    return start
  }
  stop(at = this.context?.currentTime) {
    if (!this.voice) return
    const { source, gain, start } = this.voice
    this.voice = null
    if (start > this.context.currentTime) return source.stop()        // it was to begin, and needn't; its predecessor is fading already
    gain.gain.setValueAtTime(1, at)
    gain.gain.linearRampToValueAtTime(0, at + RAMP)
    source.stop(at + RAMP)
  }
  close() { this.context?.close(); this.context = null }
}

// ---------------------------------------------------------------------------------------------------- pictures

function surface(canvas) {                                // a canvas as sharp as the screen, and its size
  const dense = window.devicePixelRatio || 1
  const width = Math.max(1, Math.round(canvas.clientWidth * dense)), height = Math.max(1, Math.round(canvas.clientHeight * dense))
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height })
  return [canvas.getContext("2d"), width, height]
}

export function drawWaveform(canvas, x) {
  const [pen, width, height] = surface(canvas)
  const y = v => (1 - Math.max(-1, Math.min(1, v))) / 2 * (height - 2) + 1
  pen.clearRect(0, 0, width, height)
  pen.fillStyle = getComputedStyle(canvas).color
  pen.fillRect(0, Math.round(y(0)), width, 1)
  for (let i = 0; i < width; i++) {
    let low = Infinity, high = -Infinity
    for (let j = Math.floor(i * x.length / width), end = Math.min(x.length, 1 + Math.max(j + 1, (i + 1) * x.length / width)); j < end; j++) {
      low = Math.min(low, x[j]); high = Math.max(high, x[j])
    }
    pen.fillRect(i, y(high), 1, Math.max(1, y(low) - y(high)))
  }
}

const colours = Array.from({ length: 256 }, (_, i) => magma(i / 255))

export function drawSpectrogram(canvas, x) {
  const { db, frames, bins } = spectrogram(x), picture = new ImageData(frames, bins)
  for (let t = 0; t < frames; t++) for (let k = 0; k < bins; k++) {
    const colour = colours[Math.max(0, Math.min(255, Math.round((db[t * bins + k] + 80) / 80 * 255)))], at = 4 * ((bins - 1 - k) * frames + t)
    picture.data[at] = colour[0]; picture.data[at + 1] = colour[1]; picture.data[at + 2] = colour[2]; picture.data[at + 3] = 255
  }
  const small = new OffscreenCanvas(frames, bins), [pen, width, height] = surface(canvas)
  small.getContext("2d").putImageData(picture, 0, 0)
  pen.imageSmoothingEnabled = false
  pen.drawImage(small, 0, 0, width, height)
}

// Where the sounds are that a model has learned, seen from the middle of the pad: a dot for each in its class's colour, those of
// the chosen class on top of the others.
export function drawDots(canvas, { known = [], classes, reach }, base, axes, label) {
  const [pen, width, height] = surface(canvas), chosen = classes.indexOf(label)
  pen.clearRect(0, 0, width, height)
  if (!base) return
  const order = known.map((_, c) => c).sort((a, b) => (a === chosen) - (b === chosen))
  for (const c of order) {
    pen.fillStyle = classColour(c, known.length)
    pen.globalAlpha = c === chosen ? 1 : 0.3
    for (const z of known[c]) {
      const [x, y] = axes.map(i => (z[i] - base[i]) / reach)
      pen.beginPath()
      pen.arc((1 + x) / 2 * width, (1 - y) / 2 * height, (c === chosen ? 0.014 : 0.01) * width, 0, 2 * Math.PI)
      pen.fill()
    }
  }
}

const classColour = (c, count) => `hsl(${Math.round(360 * c / count)} 75% 55%)`

// ---------------------------------------------------------------------------------------------------- page

function h(tag, attributes = {}, ...children) {           // an element; "on…" are listeners
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value)
    else if (value === true) element.setAttribute(name, "")
    else if (value !== false && value != null) element.setAttribute(name, value)
  }
  element.append(...children)
  return element
}

const NO_JUMP = { preventScroll: true }

// Letters are commands in JupyterLab: "x" cuts the cell that has the focus. So an element with controls takes the focus when
// it is clicked anywhere; it bears the mark that keeps JupyterLab's shortcuts away from all that is in it; and no key leaves it.
export function keepKeys(box) {
  const claim = () => setTimeout(() => { if (box.isConnected && !box.contains(document.activeElement)) box.focus(NO_JUMP) })
  box.tabIndex = -1
  box.dataset.lmSuppressShortcuts = "true"
  for (const kind of ["pointerdown", "click"]) box.addEventListener(kind, claim, true)
  for (const kind of ["keydown", "keyup"]) box.addEventListener(kind, event => event.stopPropagation())
}

const random = () => Math.floor(Math.random() * 10000)
const noteName = pitch => NOTES[Math.round(pitch) % 12] + (Math.floor(Math.round(pitch) / 12) - 1)
const signed = (v, digits = 2) => (v < 0 ? "−" : "") + Math.abs(v).toFixed(digits)

function render({ model, el }) {
  const spec = model.get("spec"), view = Math.random().toString(36).slice(2), player = new Player()
  const clone = () => JSON.parse(JSON.stringify(spec.settings))
  let settings = clone(), waiting = null, wanted = null, count = 0, autoplay = true
  let shown = { x: null, python: "", settings: {}, base: null }       // the last sound that came, and what made it
  let failed = null                                       // the settings last asked for, if their sound didn't come
  const has = name => name in spec.settings
  const refresh = []                                      // brings the controls in line with the settings

  function renew() {
    refresh.forEach(f => f())
    const focused = document.activeElement
    if (root.contains(focused) && focused.disabled) root.focus(NO_JUMP)       // a control that is switched off gives keys to nobody
  }

  // ---- requests: the latest wins

  function change(values = {}, { play = autoplay } = {}) {
    Object.assign(settings, values)
    renew()
    wanted = { play: play || Boolean(wanted?.play) }
    ask()
  }

  function ask() {
    if ((waiting && !waiting.overdue) || !wanted) return
    stopWaiting()
    const asked = pitched() ? { ...settings } : { ...settings, ...(has("pitch") && { pitch: null }) }
    const request = { id: `${view}:${++count}`, settings: asked, play: wanted.play, overdue: false }
    request.timers = [setTimeout(() => say("working…"), QUIET), setTimeout(() => giveUp(request), 1000 * PATIENCE)]
    wanted = null
    waiting = request
    try { model.send({ kind: "sound", id: request.id, settings: asked }) }
    catch (error) { stopWaiting(); fail(asked, `The kernel can't be reached (${error.message}); is it running? ${REMEDY}`) }
  }

  function stopWaiting() {
    waiting?.timers.forEach(clearTimeout)
    waiting = null
  }

  function giveUp(request) {                              // its answer may still come, but the next request needn't wait for it
    request.overdue = true
    fail(request.settings, `No answer from the kernel for ${PATIENCE} seconds; is it running? ${REMEDY}`)
    ask()
  }

  function fail(asked, message) {
    failed = asked
    say(message, true)
    renew()
  }

  function receive(content, buffers) {
    if (content?.id !== waiting?.id || !waiting) return   // another view's, or too late
    const { play, settings: asked } = waiting
    stopWaiting()
    if (content.kind === "error") fail(asked, content.message)
    else {
      const bytes = buffers[0].buffer ? buffers[0] : new DataView(buffers[0])
      const x = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
      shown = { x, python: content.python, settings: asked, base: content.base }
      failed = null
      renew()
      if (!wanted && status.matches(".wrong, .working")) say("")
      try { if (play) start() }
      catch (error) { say(`This browser can't play it: ${error.message}`, true) }
      draw()
    }
    ask()
  }

  // ---- what is heard and seen

  function start() {
    if (player.play(shown.x, spec.sample_rate) === undefined || matchMedia("(prefers-reduced-motion: reduce)").matches) return
    playhead.getAnimations().forEach(a => a.cancel())
    playhead.animate([{ left: "0%", opacity: 1 }, { left: "100%", opacity: 1 }], 1000 * shown.x.length / spec.sample_rate)
  }

  function draw() {
    if (!shown.x || !wave.clientWidth) return
    const seconds = shown.x.length / spec.sample_rate, peak = shown.x.reduce((m, v) => Math.max(m, Math.abs(v)), 0)
    drawWaveform(wave, shown.x)
    drawSpectrogram(spectrum, shown.x)
    const facts = `${seconds.toFixed(2)} s, peak ${peak ? signed(20 * Math.log10(peak), 1) : "−∞"} dBFS`
    figures.textContent = facts
    end.textContent = `${seconds.toFixed(2)} s`
    wave.setAttribute("aria-label", `Waveform: ${facts}`)
    drawDots(dots, spec, shown.base, axes, settings.label)
    code.value = shown.python
  }

  function say(text, wrong = false) {
    for (const line of [status, ...echoes]) {
      line.textContent = text
      line.classList.toggle("wrong", wrong)
      line.classList.toggle("working", text === "working…")
    }
  }

  // Mark a control whose setting asked for a sound that didn't come.
  function mark(control, name, of = v => v) {
    const same = (a, b) => JSON.stringify(of(a ?? null)) === JSON.stringify(of(b ?? null))
    const wrong = failed && name in shown.settings && same(settings[name], failed[name]) && !same(settings[name], shown.settings[name])
    control.ariaInvalid = wrong ? "true" : null
  }

  // ---- controls

  function slider(label, name, { min, max, step, text = v => signed(v), index = null, usable = () => true }) {
    const set = value => index === null ? { [name]: value } : { [name]: settings[name].map((v, i) => i === index ? value : v) }
    const input = h("input", { type: "range", "aria-label": label, min, max, step, oninput: () => change(set(+input.value)) })
    const shows = h("output")
    refresh.push(() => {
      const value = (index === null ? settings[name] : settings[name][index]) ?? min
      if (+input.value !== value) input.value = value
      input.disabled = !usable()
      shows.textContent = usable() ? text(value) : "–"
      input.setAttribute("aria-valuetext", shows.textContent)
      mark(input, name, v => index === null ? v : v?.[index])
    })
    return h("label", { class: "row" }, h("span", {}, label), input, shows)
  }

  function seed(label, name) {
    const input = h("input", { type: "number", "aria-label": `Seed of ${label}`, min: 0, max: 2 ** 31 - 1, step: 1,
      oninput: () => { if (input.value) change({ [name]: Math.max(0, Math.min(2 ** 31 - 1, Math.round(+input.value))) }) },
      onblur: () => { input.value = settings[name] } })
    refresh.push(() => {
      if (document.activeElement !== input) input.value = settings[name]
      mark(input, name)
    })
    return h("div", { class: "row" }, h("span", {}, label), h("span", { class: "seed" },
      input, h("button", { type: "button", "aria-label": `New seed for ${label}`, onclick: () => change({ [name]: random() }) }, "new")))
  }

  function choice(label, name, options) {
    const select = h("select", { "aria-label": label, onchange: () => change({ [name]: select.value || null }) },
      ...options.map(([value, text]) => h("option", { value }, text)))
    refresh.push(() => {
      select.value = settings[name] ?? ""
      mark(select, name)
    })
    return h("label", { class: "row" }, h("span", {}, label), select)
  }

  function words(label) {
    const input = h("input", { type: "text", "aria-label": `${label}: some of ${spec.words.join(", ")}`, placeholder: spec.words.slice(0, 4).join(", ") + " …",
      onchange: () => change({ words: input.value.trim() }) })
    refresh.push(() => {
      if (input.value.trim() !== settings.words) input.value = settings.words
      mark(input, "words")
    })
    return h("div", { class: "row" }, h("span", {}, label), input)
  }

  function pitched() {
    return has("pitch") && spec.pitched[spec.classes.indexOf(settings.label)] !== false
  }

  // ---- the pad

  const dims = has("offsets") ? settings.offsets.length : 0, axes = [0, Math.min(1, dims - 1)]
  const thumb = h("div", { class: "thumb" }), dots = h("canvas", { class: "dots", "aria-hidden": "true" })
  const pad = h("div", { class: "pad", tabindex: 0, role: "slider", "aria-roledescription": "two-way slider", "aria-valuemin": -spec.reach, "aria-valuemax": spec.reach,
    onpointerdown: event => { pad.setPointerCapture(event.pointerId); move(event) },
    onpointermove: event => { if (pad.hasPointerCapture(event.pointerId)) move(event) },
    onkeydown: event => {
      const step = event.shiftKey ? 0.5 : 0.1, [x, y] = axes.map(i => settings.offsets[i])
      const to = { ArrowLeft: [x - step, y], ArrowRight: [x + step, y], ArrowDown: [x, y - step], ArrowUp: [x, y + step], Home: [0, 0] }[event.key]
      if (to) { event.preventDefault(); place(...to) }
    } }, dots, thumb)

  function move(event) {
    const box = pad.getBoundingClientRect()
    place((2 * (event.clientX - box.left) / box.width - 1) * spec.reach, (1 - 2 * (event.clientY - box.top) / box.height) * spec.reach)
  }

  function place(...values) {
    const offsets = [...settings.offsets]
    values.forEach((v, i) => { offsets[axes[i]] = Math.round(100 * Math.max(-spec.reach, Math.min(spec.reach, v))) / 100 })
    change({ offsets })
  }

  function axis(label, which) {
    const select = h("select", { "aria-label": which ? "Up in the pad" : "Across the pad", onchange: () => { axes[which] = +select.value; renew(); draw() } },
      ...settings.offsets.map((_, i) => h("option", { value: i }, `direction ${i + 1}`)))
    select.value = axes[which]
    return h("label", {}, label, " ", select)
  }

  refresh.push(() => {
    if (!dims) return
    const [x, y] = axes.map(i => settings.offsets[i])
    thumb.style.left = `${50 + 50 * x / spec.reach}%`
    thumb.style.top = `${50 - 50 * y / spec.reach}%`
    pad.setAttribute("aria-label", `Pad: direction ${axes[0] + 1} across, direction ${axes[1] + 1} up`)
    pad.setAttribute("aria-valuenow", x)
    pad.setAttribute("aria-valuetext", `across ${signed(x)}, up ${signed(y)}`)
    mark(pad, "offsets", v => axes.map(i => v?.[i]))
  })

  // ---- the keyboard

  const keys = []
  let lowest = has("pitch") ? Math.max(spec.pitches[0], 12 * Math.floor((settings.pitch ?? 60) / 12)) : 0
  const press = pitch => { if (pitched() && pitch >= spec.pitches[0] && pitch <= spec.pitches[1]) change({ pitch }, { play: true }) }
  const shift = by => { lowest = Math.max(12 * Math.ceil(spec.pitches[0] / 12), Math.min(spec.pitches[1] - 12, lowest + by)); renew() }

  function keyboard() {
    for (let i = 0; i <= 24; i++) {
      const key = h("button", { type: "button", tabindex: -1, class: `key${BLACK.includes(i % 12) ? " black" : ""}${i > 12 ? " second" : ""}`,
        onpointerdown: event => { key.releasePointerCapture?.(event.pointerId); press(lowest + i) },
        onpointerenter: event => { if (event.buttons & 1) press(lowest + i) },
        onclick: event => { if (!event.detail) press(lowest + i) } })               // Enter, Space, or a screen reader
      keys.push(key)
    }
    refresh.push(() => keys.forEach((key, i) => {
      const pitch = lowest + i, down = settings.pitch === pitch && pitched(), seen = keys[settings.pitch - lowest]?.offsetParent
      key.disabled = !pitched() || pitch > spec.pitches[1]
      key.setAttribute("aria-label", noteName(pitch))
      key.setAttribute("aria-pressed", down)
      key.tabIndex = (seen ? down : i === 0) ? 0 : -1
    }))
    const step = event => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key], key = keys[keys.indexOf(event.target) + by]
      if (key && !key.disabled) { event.preventDefault(); key.focus(); key.click() }
    }
    return h("div", { class: "piano" },
      h("button", { type: "button", "aria-label": "An octave down", onclick: () => shift(-12) }, "◀"),
      h("div", { class: "keys", role: "group", "aria-label": "Keyboard. Arrow keys step; A to K play an octave", onkeydown: step }, ...keys),
      h("button", { type: "button", "aria-label": "An octave up", onclick: () => shift(12) }, "▶"))
  }

  // ---- saving and copying

  function save() {
    const url = URL.createObjectURL(new Blob([wav(shown.x, spec.sample_rate)], { type: "audio/wav" }))
    const { label, seed_a } = shown.settings              // of the sound that is there, whatever the controls say by now
    const name = [spec.name, label, seed_a].filter(v => v != null).join("-").replace(/[^\w-]+/g, "_")
    h("a", { href: url, download: `${name}.wav` }).click()
    setTimeout(() => URL.revokeObjectURL(url), 10000)
    say(`Saved ${name}.wav`)
  }

  async function copy() {
    code.select()
    try { await navigator.clipboard.writeText(code.value) }
    catch { document.execCommand("copy") }                // pages that aren't served over https have no clipboard
    say("Copied. Paste it into a Python cell.")
  }

  // ---- the page itself

  const status = h("div", { class: "status", role: "status", "aria-live": "polite" })
  const echoes = [0, 1].map(() => h("div", { class: "echo", "aria-hidden": "true" }))     // the same, where the first is out of view
  const figures = h("span", { class: "figures" }), end = h("span")
  const wave = h("canvas", { class: "wave", role: "img", "aria-label": "Waveform" })
  const spectrum = h("canvas", { class: "spectrum", role: "img", "aria-label": "Spectrogram: time across, frequency up, −80 to 0 dBFS" })
  const playhead = h("div", { class: "playhead" })
  const code = h("input", { class: "code", readonly: true, "aria-label": "This sound as a line of Python", onfocus: () => code.select() })
  const saveButton = h("button", { type: "button", disabled: true, onclick: save }, "Save WAV")
  const copyButton = h("button", { type: "button", disabled: true, onclick: copy, "aria-label": "Copy as Python" }, "Copy")
  refresh.push(() => { saveButton.disabled = copyButton.disabled = !shown.x })
  refresh.push(() => root.classList.toggle("stale", Boolean(failed)))
  const button = (text, onclick, extra) => h("button", { type: "button", onclick, ...extra }, text)
  const moves = h("input", { type: "checkbox", checked: true, onchange: () => { autoplay = moves.checked } })

  const rows = [], first = []                             // controls that are always in view: `first`
  const classes = spec.classes.map(name => [name, name])
  if (has("label")) (spec.folded ? first : rows).push(choice("Class", "label", has("pitch") ? classes : [["", "any"], ...classes]))
  if (has("pitch")) rows.push(slider("Pitch", "pitch", { min: spec.pitches[0], max: spec.pitches[1], step: 1, text: v => `${noteName(v)} ${v}`, usable: pitched }))
  for (const { name, low, high, unit } of spec.numbers ?? []) {
    const step = unit === "dBFS" ? 1 : (high - low) / 200, digits = step < 1 ? 2 : 0
    rows.push(slider(name[0].toUpperCase() + name.slice(1), name, { min: low, max: high, step, text: v => `${signed(v, digits)} ${unit}` }))
  }
  if (spec.words?.length && has("words")) rows.push(words("Words"))
  if (has("seed_a")) rows.push(seed("Sound A", "seed_a"))
  if (has("seed_b")) rows.push(seed("Sound B", "seed_b"))
  if (has("label_b")) rows.push(choice("Class of B", "label_b", [["", "as A"], ...classes]))
  if (has("interpolation")) rows.push(slider("A → B", "interpolation", { min: 0, max: 1, step: 0.01 }))
  if (has("variation_scale")) rows.push(slider("Variation", "variation_scale", { min: 0, max: 2, step: 0.01 }))
  if (has("variation_seed")) rows.push(seed("Which one", "variation_seed"))
  for (let i = 0; i < dims; i++) rows.push(slider(`Direction ${i + 1}`, "offsets", { min: -spec.reach, max: spec.reach, step: 0.01, index: i }))

  // On a page of the docs there is one thing to do at first, and the other controls are folded.
  const tools = [h("label", { class: "check" }, moves, " play on move"), h("span", { class: "gap" }),
    button("Reset", () => { settings = { ...clone(), ...(has("label") && { label: settings.label }) }; change() }), saveButton]
  const legend = spec.known && h("p", { class: "legend" }, "Dots: sounds that it has learned from, those of the chosen class on top.")
  const axesRow = dims ? h("div", { class: "axes" }, axis("↔", 0), axis("↕", 1)) : ""
  const more = h("details", { class: "more", open: !spec.folded, ontoggle: () => draw() }, h("summary", {}, "All controls"),
    ...(spec.folded ? [h("header", {}, ...tools), axesRow] : []), h("div", { class: "rows" }, ...rows))

  const root = h("section", { class: "audiogen-explorer", tabindex: -1, "aria-label": `Explorer of ${spec.name}` },
    h("header", {},
      button("▶ Play", start, { class: "main" }),
      button("New sound", () => change({ seed_a: random() }, { play: true })),
      ...(spec.folded ? first : tools)),
    ...(spec.invitation ? [h("p", { class: "invitation" }, spec.invitation)] : []),
    status,
    h("div", { class: "stage" },
      ...(dims ? [h("div", { class: "padbox" }, pad, ...(legend ? [legend] : []), ...(spec.folded ? [] : [axesRow]))] : []),
      h("div", { class: "pictures" },
        h("div", { class: "title" }, h("b", {}, spec.name), figures),
        h("div", { class: "frame" }, wave, spectrum, playhead, h("span", { class: "top" }, `${spec.sample_rate / 2000} kHz`), h("span", { class: "bottom" }, "0 Hz")),
        h("div", { class: "time", "aria-hidden": "true" }, h("span", {}, "0 s"), end))),
    echoes[0],
    ...(has("pitch") ? [keyboard()] : []),
    more,
    h("footer", {}, code, copyButton),
    echoes[1])

  keepKeys(root)
  let byKey = false                                       // a list is left after a choice by mouse, not by arrow keys, which may go on
  root.addEventListener("change", ({ target }) => { if (target.matches("select") && !byKey) root.focus(NO_JUMP) })
  root.addEventListener("pointerdown", () => {
    byKey = false
    player.wake()
  }, true)
  root.addEventListener("keydown", event => {
    player.wake()
    const { target, code: place } = event
    if (target.matches("select")) byKey = true
    if (place === "Escape" || (event.key === "Enter" && target.matches("input:not([type=range], [type=checkbox])"))) root.focus(NO_JUMP)
    if (event.ctrlKey || event.metaKey || event.altKey || target.matches("select, input:not([type=range], [type=checkbox])")) return
    if (place === "Escape") player.stop()
    if (place === "Space" && target.matches("section, .pad, [type=range]")) { event.preventDefault(); start() }
    const letter = place.startsWith("Key") ? PIANO.indexOf(place[3]) : -1
    if (has("pitch") && letter >= 0 && !event.repeat) { event.preventDefault(); press(lowest + letter) }
  }, true)

  el.append(root)
  const unseen = new IntersectionObserver(([entry]) => root.classList.toggle("below", !entry.isIntersecting))
  unseen.observe(status)
  const again = () => requestAnimationFrame(draw)          // when the new theme or size has come into force
  const sizes = new ResizeObserver(again), themes = new MutationObserver(again), dark = matchMedia("(prefers-color-scheme: dark)")
  sizes.observe(wave)
  themes.observe(document.body, { attributes: true, attributeFilter: ["class", "data-jp-theme-light"] })
  dark.addEventListener("change", again)
  model.on("msg:custom", receive)
  change({}, { play: false })
  return () => {
    stopWaiting()
    model.off?.("msg:custom", receive)
    unseen.disconnect(); sizes.disconnect(); themes.disconnect(); dark.removeEventListener("change", again)
    player.close()
  }
}

export default { render }
