// Players in a table of sounds, a row for each system and a column for each thing it was asked for (the page Listen of the docs).
//
//   <table class="sounds">… <th scope="row">spectral</th><td><audio controls aria-label="kick, spectral" src="data:…"></td> …</table>
//   <div class="blind-test" data-real="the formulas" data-never="untrained"></div>      after the table that it is about
//   <script type="module" src="static/players.js"></script>
//
// Each <audio> becomes a button with the sound's waveform. One AudioContext plays them all, one at a time. Arrow keys go on to the
// next sound and play it: up and down compare two systems. A column's title plays the whole column.
import { drawWaveform } from "./pictures.js"
import { Player } from "./player.js"

const player = new Player()

function h(tag, attributes = {}, ...children) {           // an element; "on…" are listeners
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value)
  }
  element.append(...children)
  return element
}

// The samples of an <audio> whose sound is written into the page: {x, rate}.
async function samples(audio) {
  const bytes = await (await fetch(audio.src)).arrayBuffer(), rate = 16000
  const buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes)
  return { x: buffer.getChannelData(0), rate }
}

// Play a button's sound, and show it; → when it has come to its end, or true at once if another one took its place.
let current = null

function play(button) {
  const { x, rate } = button.sound
  player.wake()
  current?.button.classList.remove("playing")
  current?.done(false)
  player.play(x, rate)
  button.style.setProperty("--seconds", `${x.length / rate}s`)
  void button.offsetWidth                                 // so that the playhead starts anew
  button.classList.add("playing")
  const { source } = player.voices.at(-1)
  return new Promise(done => {
    current = { button, done }
    source.onended = () => {
      if (current.button === button) button.classList.remove("playing")
      done(true)
    }
  })
}

function stop() {
  player.stop()
  current?.button.classList.remove("playing")
  current?.done(false)
}

// ---------------------------------------------------------------------------------------------------- a table

async function soundButton(audio, column) {
  const canvas = h("canvas", { "aria-hidden": "true" })
  const button = h("button", { type: "button", class: "sound", "aria-label": `Play ${audio.ariaLabel}`, onclick: () => play(button) },
    canvas, h("span", { "aria-hidden": "true" }, column))
  button.sound = await samples(audio)
  audio.replaceWith(button)
  new ResizeObserver(() => drawWaveform(canvas, button.sound.x)).observe(canvas)
  return button
}

export async function mountTable(table) {
  const titles = [...table.querySelectorAll("thead th")]
  const rows = await Promise.all([...table.querySelectorAll("tbody tr")].map(row =>
    Promise.all([...row.querySelectorAll("audio")].map((audio, i) => soundButton(audio, titles[i].textContent)))))

  titles.forEach((title, i) => title.replaceChildren(h("button", { type: "button", "aria-label": `Play ${title.textContent} of each row`,
    onclick: async () => { for (const row of rows) if (!await play(row[i])) break } }, title.textContent)))

  // One stop for the Tab key: from there, arrow keys go on.
  const reach = button => rows.flat().forEach(b => { b.tabIndex = b === button ? 0 : -1 })
  reach(rows[0][0])
  table.addEventListener("keydown", event => {
    if (event.key === "Escape") return stop()
    const row = rows.findIndex(r => r.includes(event.target)), column = rows[row]?.indexOf(event.target)
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? []
    const next = rows[row + down]?.[column + right]
    if (!next) return
    event.preventDefault()
    reach(next)
    next.focus()
    play(next)
  })
  return rows
}

// ---------------------------------------------------------------------------------------------------- a blind test

const pick = list => list[Math.floor(Math.random() * list.length)]

export function mountTest(box, table, rows) {
  const names = [...table.querySelectorAll("tbody th")].map(th => th.textContent), real = rows[names.indexOf(box.dataset.real)]
  const models = rows.map((row, i) => ({ row, name: names[i] })).filter(({ row, name }) => row !== real && name !== box.dataset.never)
  const score = { right: 0, rounds: 0 }
  let round = null

  const say = h("p", { role: "status" }), count = h("b", {}, "0 of 0")
  const hear = ["A", "B"].map((letter, i) => h("button", { type: "button", class: "main", onclick: () => play(round.pair[i]) }, `▶ ${letter}`))
  const answers = ["A", "B"].map((letter, i) => h("button", { type: "button", onclick: () => answer(i) }, `${letter} is real`))
  const next = h("button", { type: "button", onclick: begin }, "Next pair")

  function begin() {
    const column = Math.floor(Math.random() * real.length), model = pick(models), truth = Math.floor(Math.random() * 2)
    const pair = truth ? [model.row[column], real[column]] : [real[column], model.row[column]]
    round = { pair, truth, model: model.name }
    say.textContent = `Two sounds of one kind: ${pair[0].textContent}. One is real, one is a model's.`
    for (const button of answers) button.disabled = false
    next.disabled = true
  }

  function answer(i) {
    const right = i === round.truth
    score.right += right
    score.rounds += 1
    count.textContent = `${score.right} of ${score.rounds}`
    say.textContent = `${right ? "Right" : "Wrong"}: ${"AB"[round.truth]} is real, ${"BA"[round.truth]} is from ${round.model}.`
    for (const button of answers) button.disabled = true
    next.disabled = false
  }

  box.append(say, h("div", {}, ...hear, ...answers, next), h("p", {}, "Your score: ", count, ". Somebody who guesses gets half of them right."))
  begin()
}

for (const table of document.querySelectorAll("table.sounds")) mountTable(table).then(rows => {
  const box = table.parentElement.querySelector(".blind-test")
  if (box) mountTest(box, table, rows)
})
