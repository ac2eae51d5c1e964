// What the explorer asks of the model, and what it keeps of the answers.
//
// It sends       {kind: "sound", id, settings}           and has at most one of these on its way;
// answered by    {kind: "sound", id, python[, base]}, [float32 samples]
//           or   {kind: "error", id, message}.
// Where the spec says `notes: true`, it also asks ahead for the keys around the last one:
// it sends       {kind: "notes", id, settings, pitches: […]}
// answered by    {kind: "note", id, pitch[, python]}, [float32 samples]    for each pitch,
//           or   an error, which ends it.
// `base` is where in the latent space the middle of the pad is.
// A sound depends on nothing but the settings. So of settings that change, only the latest are
// asked for; and a sound that was made once needn't be made again, until the settings change.

const REMEDY = "Kernel → Restart, then run this cell again."
const QUIET = 150  // ms: without an answer for so long, say that work goes on
const PATIENCE = 8  // s: without an answer for so long, say so
const IDLE = 250  // ms: when nothing was asked for so long, sounds are computed ahead
const AT_ONCE = 4  // pitches in one request, so that another request needn't wait for long
const AROUND = 25  // keys whose sounds are computed ahead
const KEPT = 64  // sounds

// All settings but the pitch, as one string.
const timbreOf = ({ pitch, ...rest }) => JSON.stringify(rest)

// The sounds of one timbre, by pitch.
export class Ahead {
  constructor(limit = KEPT) {
    this.limit = limit
    this.sounds = new Map()  // the one that was used last is the last
    this.timbre = null
  }

  turnTo(settings) {  // of another timbre, no sound is of use any more
    const timbre = timbreOf(settings)
    if (timbre !== this.timbre) this.sounds.clear()
    this.timbre = timbre
  }

  get(settings) {
    this.turnTo(settings)
    const sound = this.sounds.get(settings.pitch ?? null)
    if (sound) this.put(settings, sound)
    return sound
  }

  put(settings, sound) {
    const pitch = settings.pitch ?? null
    this.turnTo(settings)
    this.sounds.delete(pitch)
    this.sounds.set(pitch, sound)
    if (this.sounds.size > this.limit) this.sounds.delete(this.sounds.keys().next().value)
  }

  // Which of the pitches around one are still to be made, the nearest first.
  missing(pitch, [low, high], count = AROUND) {
    const distance = other => Math.abs(other - pitch)
    const all = Array.from({ length: high - low + 1 }, (_, i) => low + i)
    const around = all.sort((a, b) => distance(a) - distance(b)).slice(0, count)
    return around.filter(other => !this.sounds.has(other))
  }
}

function samplesOf([buffer]) {
  const bytes = buffer.buffer ? buffer : new DataView(buffer), start = bytes.byteOffset
  return new Float32Array(bytes.buffer.slice(start, start + bytes.byteLength))
}

export class Requests {
  // `page` has asked, its settings, arrived(sound, settings, reason),
  // failedFor(settings, message), working(), and awake: whether sounds may be computed ahead.
  constructor(model, page) {
    Object.assign(this, { model, page, spec: model.get("spec"), ahead: new Ahead(), count: 0 })
    this.view = Math.random().toString(36).slice(2)
    this.waiting = null  // the request on its way
    this.wanted = null  // the latest settings, and why: {settings, play}
    this.presses = []  // keys whose sounds are still to be asked for: {settings, press}
    this.notes = null  // sounds on their way that are computed ahead
    this.receive = this.receive.bind(this)
    model.on("msg:custom", this.receive)
  }

  newId() { return `${this.view}:${++this.count}` }

  // ---- to ask

  want(settings, play) {
    this.wanted = { settings, play: play || Boolean(this.wanted?.play) }
    this.next()
  }

  press(settings, press) {
    this.presses.push({ settings, press })
    this.next()
  }

  next() {
    clearTimeout(this.idle)
    const idle = !this.presses.length && !this.wanted
    if (this.waiting && (idle || !this.waiting.overdue)) return
    this.stopWaiting()
    const job = this.presses.shift() ?? this.wanted
    if (job === this.wanted) this.wanted = null
    if (job) this.send(job)
    else this.idle = setTimeout(() => this.askAhead(), IDLE)
  }

  send(job) {
    const request = { ...job, id: this.newId(), overdue: false }
    request.timers = [
      setTimeout(() => this.page.working(), QUIET),
      setTimeout(() => this.giveUp(request), 1000 * PATIENCE),
    ]
    this.waiting = request
    try {
      this.model.send({ kind: "sound", id: request.id, settings: job.settings })
    } catch (error) {
      this.stopWaiting()
      const why = `The kernel can't be reached (${error.message}); is it running? ${REMEDY}`
      this.page.failedFor(job.settings, why)
    }
  }

  stopWaiting() {
    this.waiting?.timers.forEach(clearTimeout)
    this.waiting = null
  }

  // The answer of a request may still come, but the next request needn't wait for it. Keys that
  // were pressed so long ago are forgotten.
  giveUp(request) {
    request.overdue = true
    this.presses = []
    const why = `No answer from the kernel for ${PATIENCE} seconds; is it running? ${REMEDY}`
    this.page.failedFor(request.settings, why)
    this.next()
  }

  askAhead() {
    const { asked: settings, awake } = this.page, now = performance.now()
    if (!this.spec.notes || !awake || settings.pitch == null) return
    if (now < this.notes?.patience) return
    this.ahead.turnTo(settings)
    const pitches = this.ahead.missing(settings.pitch, this.spec.pitches).slice(0, AT_ONCE)
    if (!pitches.length) return
    const patience = now + 1000 * PATIENCE
    this.notes = { id: this.newId(), settings, left: pitches.length, patience }
    try {
      this.model.send({ kind: "notes", id: this.notes.id, settings, pitches })
    } catch {  // the next move says so
      this.notes = null
    }
  }

  // ---- to receive

  isCurrent(settings) { return timbreOf(settings) === timbreOf(this.page.asked) }

  receive(content, buffers) {
    if (content?.id === undefined) return
    if (content.id === this.notes?.id) this.receiveNote(content, buffers)
    else if (content.id === this.waiting?.id) this.receiveSound(content, buffers)
    // else it is another view's, or too late
  }

  receiveSound({ kind, message, python, base }, buffers) {
    const { settings, ...reason } = this.waiting
    this.stopWaiting()
    if (kind === "error") this.page.failedFor(settings, message)
    else {
      const sound = { x: samplesOf(buffers), python, base }
      if (this.isCurrent(settings)) this.ahead.put(settings, sound)
      this.page.arrived(sound, settings, reason)
    }
    this.next()
  }

  receiveNote({ kind, pitch, python }, buffers) {
    const { notes } = this
    if (kind === "error") {  // a key that needs it will say why
      this.notes = null
      return
    }
    if (this.isCurrent(notes.settings)) {
      this.ahead.put({ ...notes.settings, pitch }, { x: samplesOf(buffers), python })
    }
    notes.left -= 1
    if (notes.left) return
    this.notes = null
    if (!this.waiting) this.askAhead()
  }

  close() {
    this.stopWaiting()
    clearTimeout(this.idle)
    this.model.off?.("msg:custom", this.receive)
  }
}
