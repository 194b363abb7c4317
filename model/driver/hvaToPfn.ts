/** How KVM gets a page of the process by its address (virt/kvm/kvm_main.c: hva_to_pfn). */
import * as Effect from "effect/Effect"
import { getUserPages, type UserPage } from "../mm/gup.ts"
import type { Mm } from "../mm/mm.ts"

/**
 * `hva_to_pfn`, by the slow path (hva_to_pfn_slow: get_user_pages_unlocked), with no lock held: a page with a reference
 * that only lasts until it is known whether it may be used. `null` is KVM_PFN_ERR_FAULT.
 */
export const hvaToPfn = (mm: Mm, hva: number, write: boolean): Effect.Effect<UserPage | null> =>
  Effect.match(getUserPages(mm, hva, { write, pin: false }), { onFailure: () => null, onSuccess: (page) => page })
