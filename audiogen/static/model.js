// A stand-in for Python: what the explorer asks of a model, answered by a decoder in a worker.

// The model, once the worker has read its weights. `source` is the model as Python.
export async function modelOf(worker, { weights, name, source }) {
  const listeners = new Set()
  const spec = await new Promise((resolve, reject) => {
    worker.onmessage = ({ data: [{ spec }] }) => resolve(spec)
    worker.onerror = event => reject(Error(event.message || "its worker can't start"))
    worker.postMessage({ kind: "model", weights, name, source }, [weights])
  })
  worker.onmessage = ({ data: [content, ...buffers] }) => {
    listeners.forEach(listener => listener(content, buffers))
  }
  return {
    get: key => ({ spec })[key],
    on: (_, listener) => listeners.add(listener),
    off: (_, listener) => listeners.delete(listener),
    send: request => worker.postMessage(request),
  }
}
