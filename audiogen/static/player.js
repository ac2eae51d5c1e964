// Plays sounds: one after the other while they are steered, several at once from keys.

const RAMP = 0.015  // s: how long a sound that is cut off fades
const GAP = 0.08  // s: a sound that replaces another one starts no sooner after it
const VOICES = 16  // sounds at once; one more takes the place of one of them
const LONGEST = 300  // s: a recording ends by itself
const MOST = 2 ** 26  // samples of all sounds in a recording (256 MiB): it ends by itself, too
const STEERED = "steered"  // the voice of no key: a sound that was made by moving something

// Softly limits the sum of voices: up to 0.9 it stays as it is, beyond it nears 1.
const CEILING = 8
const above = v => 0.9 + 0.1 * Math.tanh((v - 0.9) / 0.1)
const softly = v => Math.abs(v) < 0.9 ? v : Math.sign(v) * above(Math.abs(v))
const limits = Float32Array.from({ length: 8193 }, (_, i) => softly((i / 4096 - 1) * CEILING))

// Milliseconds from an event's time stamp until its sound leaves the computer, in two parts: until
// the page has the sound scheduled, and what the browser and the sound card add.
export function latency(context, stamp, start, now = performance.now()) {
  const { currentTime, baseLatency = 0, outputLatency = 0 } = context
  const page = now - stamp + 1000 * Math.max(0, start - currentTime)
  return { page, device: 1000 * (baseLatency + outputLatency) }
}

// Each method takes the time at which it acts (s, of the context). So a recording is a list of
// calls, and to render it is to make the same calls to a player whose context is offline.
export class Player {
  constructor(context = null) {
    this.context = context
    this.voices = []  // that sound, the oldest first
    this.rate = 1  // of playback: the pitch bend
    this.take = null  // what is recorded
  }

  wake() {  // browsers allow sound only from a gesture on
    this.context ??= new AudioContext({ latencyHint: "interactive" })
    if (this.context.state === "suspended") this.context.resume()
  }

  get now() { return this.context?.currentTime ?? 0 }

  get output() {
    if (this.limiter?.context !== this.context) {
      const before = this.context.createGain(), limiter = this.context.createWaveShaper()
      before.gain.value = 1 / CEILING
      limiter.curve = limits
      before.connect(limiter).connect(this.context.destination)
      this.limiter = before
    }
    return this.limiter
  }

  // ---- to play

  // Play a sound in place of the last that was steered: that one fades, since cutting it off would
  // click; this one starts at full strength, since a ramp would take a drum's attack away.
  play(x, sampleRate, at = this.now) {  // → when it starts, if it does
    if (!this.context || !x?.length) return
    this.write("play", [x, sampleRate], at)
    const old = this.find(STEERED, at)
    let start = at
    if (old) start = old.start > at ? old.start : Math.max(at, old.start + GAP)
    this.fade(old, start, RAMP, at)
    return this.begin(STEERED, x, sampleRate, 1, start)
  }

  // Play a sound for a key.
  press(key, x, sampleRate, level = 1, at = this.now) {  // → when it starts, if it does
    if (!this.context || !x?.length) return
    this.write("press", [key, x, sampleRate, level], at)
    for (const same of [STEERED, key]) this.fade(this.find(same, at), at)
    if (this.sounding(at).length >= VOICES) this.fade(this.weakest(at), at)
    return this.begin(key, x, sampleRate, level, at)
  }

  // Let a key go: its sound fades.
  release(key, seconds = RAMP, at = this.now) {
    this.write("release", [key, seconds], at)
    this.fade(this.find(key, at), at, seconds)
  }

  // Bend the pitch of all that sounds, and of all that will.
  bend(semitones, at = this.now) {
    this.write("bend", [semitones], at)
    const before = this.rate
    this.rate = 2 ** (semitones / 12)
    for (const voice of this.sounding(at)) {
      voice.source.playbackRate.setValueAtTime(this.rate, Math.max(at, voice.start))
      voice.runsOut = at + (voice.runsOut - at) * before / this.rate
    }
  }

  stop(at = this.now) {
    this.write("stop", [], at)
    this.sounding(at).forEach(voice => this.fade(voice, at))
  }

  close() {
    this.context?.close()
    this.context = null
  }

  // ---- voices

  begin(key, x, sampleRate, level, start) {
    const buffer = this.context.createBuffer(1, x.length, sampleRate)
    const source = this.context.createBufferSource(), gain = this.context.createGain()
    buffer.copyToChannel(x, 0)
    source.buffer = buffer
    source.playbackRate.setValueAtTime(this.rate, start)
    gain.gain.setValueAtTime(level, start)
    source.connect(gain).connect(this.output)
    source.start(start)
    const runsOut = start + buffer.duration / this.rate
    this.voices.push({ key, source, gain: gain.gain, level, start, runsOut, fading: null })
    return start
  }

  sounding(at) {
    const end = ({ runsOut, fading }) => Math.min(runsOut, fading?.end ?? Infinity)
    this.voices = this.voices.filter(voice => end(voice) > at)
    return this.voices
  }

  find(key, at) { return this.sounding(at).find(voice => voice.key === key && !voice.fading) }

  // Which voice is missed least: the one that has faded most, else the oldest.
  weakest(at) {
    const fading = this.sounding(at).filter(voice => voice.fading)
    fading.sort((a, b) => a.fading.end - b.fading.end)
    return fading[0] ?? this.voices[0]
  }

  // Let a voice fade from a time on. If it was to begin after `now`, it needn't begin at all.
  fade(voice, at, seconds = RAMP, now = at) {
    if (!voice) return
    if (voice.start > now) {
      voice.source.stop(voice.start)
      this.voices = this.voices.filter(other => other !== voice)
      return
    }
    const { gain, level, fading } = voice
    const share = fading ? Math.max(0, (fading.end - at) / (fading.end - fading.start)) : 1
    const end = Math.min(at + seconds, fading?.end ?? Infinity)
    gain.cancelScheduledValues(at)
    if (fading) gain.linearRampToValueAtTime(share * level, at)  // as far as it has faded
    else gain.setValueAtTime(level, at)
    gain.linearRampToValueAtTime(0, end)
    voice.source.stop(end)
    voice.fading = { start: end - (end - at) / (share || 1), end }
  }

  // ---- to record

  write(method, given, at) {
    if (!this.take) return
    const { calls } = this.take, sound = given.find(value => value instanceof Float32Array)
    if (!calls.length && !sound) return  // a recording begins with its first sound
    if (!calls.length) Object.assign(this.take, { start: at, rate: this.rate })
    calls.push({ method, given, at })
    this.take.samples += sound?.length ?? 0
    if (this.take.samples > MOST || at - this.take.start > LONGEST) this.take.full?.()
  }

  // Record from the next sound on; if there is no more room, `full` is called.
  record(full) { this.take = { calls: [], samples: 0, full } }

  // End the recording → its samples, null if nothing was played.
  async finish(sampleRate, at = this.now) {
    const { calls, start, rate } = this.take
    this.take = null
    if (!calls.length) return null
    const length = Math.ceil(Math.min(LONGEST, at - start) * sampleRate)
    const context = new OfflineAudioContext(1, Math.max(1, length), sampleRate)
    const again = new Player(context)
    again.rate = rate
    for (const call of calls) again[call.method](...call.given, call.at - start)
    const x = (await context.startRendering()).getChannelData(0)
    const tail = Math.min(x.length, Math.round(RAMP * sampleRate))
    for (let i = 0; i < tail; i++) x[x.length - 1 - i] *= i / tail  // what still sounds fades
    return x
  }
}
