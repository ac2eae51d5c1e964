// Which latent vector? As audiogen.demo.slider_latent and audiogen.spectral.ClassGaussians draw it.
import { foldIn, keyOf, normal } from "./random.js"
import { row } from "./weights.js"

const LATENT = 0x6cf1fd73                                 // zlib.crc32(b"latent")

// The key of the latent vectors of nnx.Rngs(seed): what follows from its first key.
export const latentKey = seed => foldIn(foldIn(keyOf(seed), 0), LATENT)

// A latent vector near a remembered one of a class: a little nearer to the class's mean, and a step
// by so many standard normal numbers.
export function near({ arrays, config }, label, which, step, bandwidth) {
  const { latent_dim: d, remembered } = config
  const mean = row(arrays["latents.means"], label, d)
  const known = row(arrays["latents.known"], label * remembered + which, d)
  const keep = Math.sqrt(1 - bandwidth ** 2)
  return mean.map((m, i) => {
    const spread = row(arrays["latents.spreads"], label * d + i, d)
    const moved = spread.reduce((sum, s, j) => sum + s * step[j], 0)
    return m + keep * (known[i] - m) + bandwidth * moved
  })
}

// The latent vectors that a model remembers: class after class, a list of vectors.
export function rememberedOf({ arrays, config }) {
  const { latent_dim: d, remembered, classes } = config
  const vector = i => [...row(arrays["latents.known"], i, d)]
  return classes.map((_, c) => Array.from({ length: remembered }, (_, n) => vector(c * remembered + n)))
}

// From a to b along a great circle.
export function slerp(a, b, alpha) {
  const dot = (u, v) => u.reduce((sum, x, i) => sum + x * v[i], 0)
  const cosine = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
  const theta = Math.acos(cosine)
  const part = share => Math.sin(share * theta) / Math.sin(theta)
  const straight = Math.abs(cosine) > 0.9999
  const [p, q] = straight ? [1 - alpha, alpha] : [part(1 - alpha), part(alpha)]
  return a.map((x, i) => p * x + q * b[i])
}

// ---------------------------------------------------------------------------------- sliders

// The latent vector that sliders stand for, before offsets are added: as slider_latent in Python.
// `conditions` are those that choose a latent vector, such as a label.
export function sliderLatent(decoder, sliders, conditions) {
  const { seed_a, seed_b, label_b, interpolation, variation_scale, variation_seed } = sliders
  let z = decoder.sampleLatents(latentKey(seed_a), conditions)
  if (interpolation) {
    const told = label_b ? { ...conditions, label: label_b } : conditions
    z = slerp(z, decoder.sampleLatents(latentKey(seed_b), told), interpolation)
  }
  if (!variation_scale) return z
  const step = normal(latentKey(1000 + variation_seed), z.length)
  return z.map((v, i) => v + variation_scale * step[i])
}
