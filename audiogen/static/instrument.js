// A page in one file that plays a model: see audiogen.support.page. Elements of the page hold the
// decoder's text, the weights, packed, and what is to be known of them. Nothing is loaded.
import explorer from "./explorer.js"
import { modelOf } from "./model.js"

const textOf = id => document.getElementById(id).textContent

function bytesOf(base64) {
  const text = atob(base64)
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}

// The weights of a page: base64 of gzip of the first bytes of all 16-bit numbers, then the second.
async function unpacked(text) {
  const unzipped = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("gzip"))
  const planes = new Uint8Array(await new Response(unzipped).arrayBuffer())
  const half = planes.length / 2
  const bytes = new Uint8Array(planes.length)
  for (let i = 0; i < half; i++) {
    bytes[2 * i] = planes[i]
    bytes[2 * i + 1] = planes[half + i]
  }
  return bytes.buffer
}

function startWorker(text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }))
  return new Worker(address)
}

async function mount(el) {
  try {
    const weights = await unpacked(textOf("weights"))
    const about = JSON.parse(textOf("about"))
    const model = await modelOf(startWorker(textOf("decoder")), { weights, ...about })
    el.replaceChildren()
    explorer.render({ el, model })
  } catch (error) {
    el.textContent = `This browser can't play it: ${error.message}`
    throw error
  }
}

mount(document.getElementById("instrument"))
