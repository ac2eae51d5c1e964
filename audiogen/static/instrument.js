// A page in one file that plays a model: see audiogen.support.page. Elements of the page hold the
// decoder's text, the weights in base64, and what is to be known of them. Nothing is loaded.
import explorer from "./explorer.js"
import { modelOf } from "./model.js"

const textOf = id => document.getElementById(id).textContent

function bytesOf(base64) {
  const text = atob(base64)
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}

function startWorker(text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }))
  return new Worker(address)
}

async function mount(el) {
  try {
    const { buffer: weights } = bytesOf(textOf("weights"))
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
