// A kit of sounds on a page of its own (audiogen pack): buttons and the computer's keys play them, several at a time.
//
// The page has FLAC files as base64 in a JSON list, #sounds, and a <section> for each instrument with its buttons:
//
//   <button data-sound="0" data-rate="1" data-key="A">      number of the sound, how much faster it is played, key of the computer

const RAMP = 0.015                                        // s: how long a note fades that is struck again
const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer
const sounds = JSON.parse(document.getElementById("sounds").textContent)
const decoder = new OfflineAudioContext(1, 1, 48000)      // decoding needs no permission, unlike playing
const buffers = Promise.all(sounds.map(text => decoder.decodeAudioData(bytes(text))))
const sections = [...document.querySelectorAll("section")]
const playing = new Map()                                 // button -> its source and gain
let context, active = sections[0]

function release(button) {
  const { source, gain } = playing.get(button) ?? {}
  if (!source) return
  gain.gain.setTargetAtTime(0, context.currentTime, RAMP / 3)
  source.stop(context.currentTime + 2 * RAMP)
}

async function play(button) {
  context ??= new AudioContext({ latencyHint: "interactive" })
  context.resume()
  choose(button.closest("section"))
  const buffer = (await buffers)[button.dataset.sound]
  release(button)
  const source = new AudioBufferSourceNode(context, { buffer, playbackRate: button.dataset.rate }), gain = new GainNode(context)
  source.connect(gain).connect(context.destination)
  source.onended = () => {
    if (playing.get(button)?.source !== source) return
    playing.delete(button)
    button.classList.remove("playing")
  }
  playing.set(button, { source, gain })
  button.classList.add("playing")
  source.start()
}

function choose(section) {                                // the one that the computer's keys play
  active = section
  for (const other of sections) other.classList.toggle("active", other === section)
}

for (const button of document.querySelectorAll("button[data-sound]")) {
  button.addEventListener("pointerdown", () => play(button))
  button.addEventListener("click", event => { if (!event.detail) play(button) })          // by Enter, Space, a screen reader
}

document.addEventListener("keydown", event => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return
  const key = event.key.toUpperCase(), button = [...active.querySelectorAll("button")].find(b => b.dataset.key === key)
  if (button) play(button)
})

choose(active)
