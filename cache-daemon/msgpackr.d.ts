/** The lean entry of msgpackr has no types of its own; it exports what the main entry does. */
declare module "msgpackr/index-no-eval" {
  export { Packr } from "msgpackr"
}
