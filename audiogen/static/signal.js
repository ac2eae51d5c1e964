// Signals: Fourier transform, spectrogram, colours, WAV files.

const circles = new Map()  // length -> cosines, sines

function circle(n) {
  if (!circles.has(n)) {
    const turn = f => Float64Array.from({ length: n / 2 }, (_, k) => f(-2 * Math.PI * k / n))
    circles.set(n, [turn(Math.cos), turn(Math.sin)])
  }
  return circles.get(n)
}

function reverseBits(re, im) {  // the order that the transform starts from
  const n = re.length
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1
    for (; j & bit; bit >>= 1) j ^= bit
    j ^= bit
    if (i >= j) continue
    const x = re[i], y = im[i]
    re[i] = re[j]
    im[i] = im[j]
    re[j] = x
    im[j] = y
  }
}

// Fourier transform in place, for lengths that are powers of two.
export function fft(re, im) {
  const n = re.length, [cosines, sines] = circle(n)
  reverseBits(re, im)
  for (let size = 2; size <= n; size *= 2) {
    const half = size / 2, stride = n / size
    for (let k = 0; k < half; k++) {
      const c = cosines[k * stride], s = sines[k * stride]
      for (let a = k; a < n; a += size) {
        const b = a + half
        const x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c
        re[b] = re[a] - x
        im[b] = im[a] - y
        re[a] += x
        im[a] += y
      }
    }
  }
}

export const hann = n =>
  Float64Array.from({ length: n }, (_, i) => 0.5 - 0.5 * Math.cos(2 * Math.PI * i / n))

// Levels in dBFS, frame after frame, as audiogen.stft.spectrogram has them: centred frames, a
// sine of amplitude 1 reads 0.
export function spectrogram(x, { windowSize = 512, hopSize = 128, floor = -80 } = {}) {
  const quarter = windowSize / 4, bins = windowSize / 2 + 1, window = hann(windowSize)
  const within = Math.floor(x.length / hopSize)
  const frames = 1 + Math.max(within, Math.ceil((x.length - Math.floor(quarter)) / hopSize))
  const db = new Float32Array(frames * bins)
  const re = new Float64Array(windowSize), im = new Float64Array(windowSize)
  const level = amplitude => Math.max(floor, 20 * Math.log10(amplitude / quarter))
  for (let t = 0; t < frames; t += 2) {  // two real frames make one complex transform
    const start = t * hopSize - windowSize / 2
    for (let i = 0; i < windowSize; i++) {
      re[i] = window[i] * (x[start + i] ?? 0)
      im[i] = window[i] * (x[start + hopSize + i] ?? 0)
    }
    fft(re, im)
    for (let k = 0; k < bins; k++) {
      const m = (windowSize - k) % windowSize
      db[t * bins + k] = level(Math.hypot(re[k] + re[m], im[k] - im[m]) / 2)
      if (t + 1 === frames) continue
      db[(t + 1) * bins + k] = level(Math.hypot(im[k] + im[m], re[m] - re[k]) / 2)
    }
  }
  return { db, frames, bins }
}

const MAGMA = [  // coefficients of red, green and blue, lowest power first
  [-0.002136, 0.251661, 8.353717, -27.668733, 52.176140, -50.768525, 18.655706],
  [-0.000750, 0.677523, -3.577720, 14.264731, -27.943606, 29.046583, -11.489774],
  [-0.005386, 2.494026, 0.314468, -13.649213, 12.944169, 4.234153, -5.601962],
]

// Matplotlib's magma by a polynomial (Matt Zucker's fit): 0 … 1 to red, green, blue of 0 … 255.
export function magma(v) {
  const polynomial = row => row.reduceRight((sum, c) => sum * v + c)
  return MAGMA.map(row => Math.max(0, Math.min(255, 255 * polynomial(row))))
}

// The bytes of a 16-bit mono WAV file.
export function wav(x, sampleRate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * x.length))
  const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)))
  const number = (at, value) => view.setUint32(at, value, true)
  const short = (at, value) => view.setUint16(at, value, true)
  text(0, "RIFF")
  number(4, 36 + 2 * x.length)
  text(8, "WAVEfmt ")
  number(16, 16)
  short(20, 1)  // PCM
  short(22, 1)  // channel
  number(24, sampleRate)
  number(28, 2 * sampleRate)
  short(32, 2)
  short(34, 16)
  text(36, "data")
  number(40, 2 * x.length)
  x.forEach((v, i) => {
    view.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, Math.round(32768 * v))), true)
  })
  return view.buffer
}
