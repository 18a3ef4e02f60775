/**
 * Two modules of oidc-provider that its type declarations do not name.
 *
 * @module
 */

declare module "oidc-provider/lib/provider.js" {
  export { Provider } from "oidc-provider"
}

declare module "oidc-provider/lib/helpers/interaction_policy/index.js" {
  import { interactionPolicy } from "oidc-provider"

  export const base: typeof interactionPolicy.base
}
