// Random numbers as JAX draws them: the same key gives the same numbers here and in Python.
//
// A key is two 32-bit numbers. Threefry-2x32 turns a key and a counter into two more.
// Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011).

const TURNS = [[13, 15, 26, 6], [17, 29, 16, 24]]

function threefry([first, second], counter) {
  const keys = [first, second, 0x1BD11BDA ^ first ^ second]
  let a = first
  let b = counter + second | 0
  for (let round = 0; round < 20; round++) {
    const turn = TURNS[(round >> 2) % 2][round % 4]
    a = a + b | 0
    b = (b << turn | b >>> 32 - turn) ^ a
    if (round % 4 === 3) {
      const n = (round + 1) / 4
      a = a + keys[n % 3] | 0
      b = b + keys[(n + 1) % 3] + n | 0
    }
  }
  return [a, b]
}

// As jax.random.key, fold_in and split.
export const keyOf = seed => [0, seed]
export const foldIn = threefry
export const split = (key, count = 2) => Array.from({ length: count }, (_, i) => threefry(key, i))

// 32 random bits, so many times.
function bits(key, count) {
  return Uint32Array.from({ length: count }, (_, i) => {
    const [a, b] = threefry(key, i)
    return a ^ b
  })
}

// As jax.random.uniform: numbers from low to below high, on a grid of 2²³ steps.
export function uniform(key, count, low, high = 1) {
  const at = b => Math.max(low, Math.fround((b >>> 9) / 2 ** 23 * (high - low) + low))
  return Float32Array.from(bits(key, count), at)
}

// As jax.random.normal.
const AFTER_MINUS_ONE = -1 + 2 ** -24                      // the next 32-bit number
export const normal = (key, count) =>
  uniform(key, count, AFTER_MINUS_ONE).map(u => Math.SQRT2 * inverseErf(u))

// As jax.random.gumbel; its largest number, added to logarithms of chances, draws one of them.
const TINY = 2 ** -126
export const gumbel = (key, count) =>
  uniform(key, count, TINY).map(u => -Math.log(-Math.log(u)))

// As jax.random.randint: a whole number from 0 to below a limit.
export function integer(key, limit) {
  const [high, low] = split(key).map(half => bits(half, 1)[0] % limit)
  const carry = (65536 % limit) ** 2 % limit               // 2³² mod limit
  return (high * carry + low) % limit
}

// The inverse of the error function, by Giles's polynomials, as XLA has it.
const CENTRE = [
  2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 2.1858087e-4, -1.25372503e-3,
  -4.17768164e-3, 0.246640727, 1.50140941,
]
const TAIL = [
  -2.00214257e-4, 1.00950558e-4, 1.34934322e-3, -3.67342844e-3, 5.73950773e-3, -7.6224613e-3,
  9.43887047e-3, 1.00167406, 2.83297682,
]

function inverseErf(x) {
  const w = -Math.log1p(-x * x)
  const at = w < 5 ? w - 2.5 : Math.sqrt(w) - 3
  return x * (w < 5 ? CENTRE : TAIL).reduce((sum, c) => sum * at + c)
}
