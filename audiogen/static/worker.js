// A decoder in a worker, so that the page never waits while it computes.
//
// It gets   {kind: "model", weights, name, source}     once; it answers {kind: "spec", spec}
//           {kind: "sound", id, settings}              it answers {kind: "sound", id, python, base}
//                                                      with samples, or {kind: "error", id, message}
//           {kind: "notes", id, settings, pitches}     it answers {kind: "note", id, pitch} with
//                                                      samples, for each pitch: sounds ahead of
//                                                      time, so any other request goes first
import { answers, specOf } from "./answers.js"
import { readWeights } from "./weights.js"

// What the page shows of a model.
export function pageSpecOf(decoder, name) {
  const notes = decoder.conditions.some(c => c.kind === "pitch")
  const invitation = "Drag the point: every place in the square is another sound."
  return { ...specOf(decoder, name), known: decoder.known, notes, folded: true, invitation }
}

// Answer requests in a worker; on a page, where a decoder's module may be imported, too, do nothing.
export function serve(Decoder) {
  if (typeof WorkerGlobalScope === "undefined") return
  let answer = null
  let latest = null                                       // id of the last request for notes

  function reply({ id, settings }, more) {                // was there a sound?
    try {
      const { x, python, base } = answer(settings)
      postMessage([{ ...more, id, python, base }, x], [x.buffer])
      return true
    } catch (error) {
      postMessage([{ kind: "error", id, message: error.message }])
      return false
    }
  }

  function nextNote({ id, settings, pitches }) {
    if (id !== latest || !pitches.length) return
    const [pitch, ...rest] = pitches
    const done = reply({ id, settings: { ...settings, pitch } }, { kind: "note", pitch })
    // what has come in meanwhile goes first
    if (done) setTimeout(nextNote, 0, { id, settings, pitches: rest })
  }

  const actions = {
    model({ weights, name, source }) {
      const decoder = new Decoder(readWeights(weights))
      answer = answers(decoder, source)
      postMessage([{ kind: "spec", spec: pageSpecOf(decoder, name) }])
    },
    sound: request => reply(request, { kind: "sound" }),
    notes(request) {
      latest = request.id
      nextNote(request)
    },
  }
  self.onmessage = ({ data }) => actions[data.kind](data)
}
