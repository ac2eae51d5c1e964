// The explorer on a page of the docs, without Python: a decoder in a worker answers it.
//
//   <div class="audiogen-page">what is seen without JavaScript</div>
//   <script type="module" src="static/page.js"></script>
//
// A page in one file, which needs no server, begins in instrument.js.
import explorer from "./explorer.js"
import { modelOf } from "./model.js"

const at = file => new URL(file, import.meta.url)

async function weightsOf(name) {
  const response = await fetch(at(`${name}.safetensors`))
  if (!response.ok) throw Error(`${response.url}: ${response.status}`)
  return response.arrayBuffer()
}

function styleSheet() {
  const style = document.createElement("link")
  Object.assign(style, { rel: "stylesheet", href: at("explorer.css") })
  document.head.append(style)
  return new Promise((resolve, reject) => {
    style.onload = resolve
    style.onerror = reject
  })
}

// Put an explorer in the place of an element's contents. If the weights can't be had, these stay.
async function mount(el, name = "conditional") {
  const weights = await weightsOf(name)
  const worker = new Worker(at("conditional.js"), { type: "module" })
  const source = `load_model('${name}')`
  const [model] = await Promise.all([modelOf(worker, { weights, name, source }), styleSheet()])
  el.replaceChildren()
  explorer.render({ el, model })
}

document.querySelectorAll(".audiogen-page").forEach(el => mount(el, el.dataset.model))
