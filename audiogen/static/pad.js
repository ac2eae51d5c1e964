// The pad: two directions of the latent space, and dots where the sounds are that were learned.
import { h, signed } from "./controls.js"
import { classColour, drawDots } from "./pictures.js"

const MOVES = {  // by keys: how far across and up
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowDown: [0, -1],
  ArrowUp: [0, 1],
}

export class Pad {
  constructor(panel) {
    const { spec: { reach }, settings: { offsets } } = panel
    Object.assign(this, { panel, reach, axes: [0, Math.min(1, offsets.length - 1)] })
    this.dots = h("canvas", { class: "dots", "aria-hidden": "true" })
    this.thumb = h("div", { class: "thumb" })
    this.element = h("div", {
      class: "pad", tabindex: 0, role: "slider", "aria-roledescription": "two-way slider",
      "aria-valuemin": -reach, "aria-valuemax": reach,
      onpointerdown: event => {
        this.element.setPointerCapture(event.pointerId)
        this.follow(event)
      },
      onpointermove: event => {
        if (this.element.hasPointerCapture(event.pointerId)) this.follow(event)
      },
      onkeydown: event => this.step(event),
    }, this.dots, this.thumb)
    panel.renewals.push(() => this.renew())
  }

  get place() { return this.axes.map(i => this.panel.settings.offsets[i]) }

  moveTo(...values) {
    const offsets = [...this.panel.settings.offsets]
    values.forEach((v, i) => {
      const within = Math.max(-this.reach, Math.min(this.reach, v))
      offsets[this.axes[i]] = Math.round(100 * within) / 100
    })
    this.panel.change({ offsets })
  }

  follow({ clientX, clientY }) {
    const { left, top, width, height } = this.element.getBoundingClientRect()
    const across = 2 * (clientX - left) / width - 1, up = 1 - 2 * (clientY - top) / height
    this.moveTo(across * this.reach, up * this.reach)
  }

  step(event) {
    const { key, shiftKey } = event, size = shiftKey ? 0.5 : 0.1
    const to = key === "Home" ? [0, 0] : MOVES[key]?.map((d, i) => this.place[i] + size * d)
    if (!to) return
    event.preventDefault()
    this.moveTo(...to)
  }

  renew() {
    const [x, y] = this.place, [across, up] = this.axes.map(i => `direction ${i + 1}`)
    this.thumb.style.left = `${50 + 50 * x / this.reach}%`
    this.thumb.style.top = `${50 - 50 * y / this.reach}%`
    this.element.setAttribute("aria-label", `Pad: ${across} across, ${up} up`)
    this.element.setAttribute("aria-valuenow", x)
    this.element.setAttribute("aria-valuetext", `across ${signed(x)}, up ${signed(y)}`)
    this.panel.mark(this.element, "offsets", offsets => this.axes.map(i => offsets?.[i]))
  }

  draw(base) {
    drawDots(this.dots, this.panel.spec, base, this.axes, this.panel.settings.label)
  }

  // Menus: which direction goes across, which one up.
  menus() {
    const menu = (text, label, which) => {
      const chosen = () => {
        this.axes[which] = +select.value
        this.panel.renew()
        this.panel.draw()
      }
      const { offsets } = this.panel.settings
      const entries = offsets.map((_, i) => h("option", { value: i }, `direction ${i + 1}`))
      const select = h("select", { "aria-label": label, onchange: chosen }, ...entries)
      select.value = this.axes[which]
      return h("label", {}, text, " ", select)
    }
    const across = menu("↔", "Across the pad", 0), up = menu("↕", "Up in the pad", 1)
    return h("div", { class: "axes" }, across, up)
  }

  // What the colours of the dots mean; nothing where there are no dots.
  legend() {
    const { known, classes } = this.panel.spec
    if (!known?.some(latents => latents.length)) return []
    const names = known.map((latents, c) => {
      const colour = `background: ${classColour(c, known.length)}`
      const dot = h("span", { class: "dot", style: colour, "aria-hidden": "true" })
      return latents.length ? [h("li", {}, dot, classes[c] ?? "sound")] : []
    })
    const label = "Dots: sounds that it has learned from"
    return [h("p", { class: "legend" }, `${label}.`),
      h("ul", { class: "legend", "aria-label": label }, ...names.flat())]
  }
}
