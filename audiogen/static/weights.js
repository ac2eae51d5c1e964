// A model's file (.safetensors) and the networks in it.

// The configuration, the conditions, and {name: Float32Array}.
export function readWeights(buffer) {
  const view = new DataView(buffer)
  const start = 8 + Number(view.getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, start - 8)))
  const { config, conditions, about } = JSON.parse(header.__metadata__.audiogen)
  delete header.__metadata__
  const arrays = {}
  for (const [name, { dtype, data_offsets: [from, to] }] of Object.entries(header)) {
    const bytes = buffer.slice(start + from, start + to)
    arrays[name] = dtype === "F16" ? fromHalves(new Uint16Array(bytes)) : new Float32Array(bytes)
  }
  return { config, conditions, about, arrays }
}

let numbers = null                                        // the 65,536 numbers of half precision

function fromHalves(halves) {
  numbers ??= Float32Array.from({ length: 65536 }, (_, h) => fromHalf(h))
  const found = new Float32Array(halves.length)
  for (let i = 0; i < found.length; i++) found[i] = numbers[halves[i]]
  return found
}

function fromHalf(h) {                                    // 1 bit of sign, 5 of exponent, 10 of fraction
  const sign = h >> 15 ? -1 : 1
  const exponent = h >> 10 & 31
  const fraction = (h & 1023) / 1024
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction)
}

// Row i of an array whose rows have so many numbers.
export const row = (array, i, width) => array.subarray(i * width, (i + 1) * width)

// The linear layers of an nnx.Sequential; their numbers have gaps, where the activations are.
export function layersOf(arrays, name) {
  const number = new RegExp(`^${name}\\.layers\\.(\\d+)\\.kernel$`)
  const numbers = Object.keys(arrays).map(key => number.exec(key)?.[1]).filter(Boolean)
  numbers.sort((a, b) => a - b)
  return numbers.map(i => ["kernel", "bias"].map(part => arrays[`${name}.layers.${i}.${part}`]))
}

// A feed-forward network: linear layers with ReLU between them.
export function feedForward(layers, x) {
  layers.forEach(([kernel, bias], i) => {
    const y = bias.slice()
    for (let a = 0; a < x.length; a++) {
      const factor = x[a]
      if (!factor) continue
      for (let b = 0, at = a * y.length; b < y.length; b++) y[b] += factor * kernel[at + b]
    }
    x = i < layers.length - 1 ? y.map(v => Math.max(0, v)) : y
  })
  return x
}
