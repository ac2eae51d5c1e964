// Pictures of a sound, and of where sounds are in the plane of the pad.
import { magma, spectrogram } from "./signal.js"

function surface(canvas) {  // a canvas as sharp as the screen, and its size
  const dense = window.devicePixelRatio || 1
  const width = Math.max(1, Math.round(canvas.clientWidth * dense))
  const height = Math.max(1, Math.round(canvas.clientHeight * dense))
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height })
  return [canvas.getContext("2d"), width, height]
}

export function drawWaveform(canvas, x) {
  const [pen, width, height] = surface(canvas)
  const y = v => (1 - Math.max(-1, Math.min(1, v))) / 2 * (height - 2) + 1
  pen.clearRect(0, 0, width, height)
  pen.fillStyle = getComputedStyle(canvas).color
  pen.fillRect(0, Math.round(y(0)), width, 1)
  for (let i = 0; i < width; i++) {  // a column: from the least to the greatest of its samples
    const first = Math.floor(i * x.length / width)
    const end = Math.min(x.length, 1 + Math.max(first + 1, (i + 1) * x.length / width))
    let low = Infinity, high = -Infinity
    for (let j = first; j < end; j++) {
      low = Math.min(low, x[j])
      high = Math.max(high, x[j])
    }
    pen.fillRect(i, y(high), 1, Math.max(1, y(low) - y(high)))
  }
}

const palette = Uint32Array.from({ length: 256 }, (_, i) => {  // pixels: red is the lowest byte
  const [red, green, blue] = magma(i / 255).map(Math.round)
  return 255 << 24 | blue << 16 | green << 8 | red
})

export function drawSpectrogram(canvas, x) {
  const { db, frames, bins } = spectrogram(x), picture = new ImageData(frames, bins)
  const pixels = new Uint32Array(picture.data.buffer)
  for (let t = 0; t < frames; t++) {
    for (let k = 0; k < bins; k++) {
      const level = Math.round(255 * (db[t * bins + k] + 80) / 80)
      pixels[(bins - 1 - k) * frames + t] = palette[Math.max(0, Math.min(255, level))]
    }
  }
  const small = new OffscreenCanvas(frames, bins), [pen, width, height] = surface(canvas)
  small.getContext("2d").putImageData(picture, 0, 0)
  pen.imageSmoothingEnabled = false
  pen.drawImage(small, 0, 0, width, height)
}

export const classColour = (c, count) => `hsl(${Math.round(360 * c / count)} 75% 55%)`

// Where the sounds are that a model has learned, seen from the middle of the pad: a dot for each
// in its class's colour, those of the chosen class larger and on top of the others.
export function drawDots(canvas, { known = [], classes, reach }, base, axes, label) {
  const [pen, width, height] = surface(canvas), chosen = classes.indexOf(label)
  const order = known.map((_, c) => c).sort((a, b) => (a === chosen) - (b === chosen))
  pen.clearRect(0, 0, width, height)
  if (!base) return
  for (const c of order) {
    const radius = (c === chosen ? 0.014 : 0.01) * width
    pen.fillStyle = classColour(c, known.length)
    pen.globalAlpha = c === chosen || chosen < 0 ? 1 : 0.4
    for (const z of known[c]) {
      const [x, y] = axes.map(i => (z[i] - base[i]) / reach)
      pen.beginPath()
      pen.arc((1 + x) / 2 * width, (1 - y) / 2 * height, radius, 0, 2 * Math.PI)
      pen.fill()
    }
  }
}
